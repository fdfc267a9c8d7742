"""Texts a language model gave, kept on disk: one line a text, added at the end and never changed.

Does not know what the texts are for, nor who made them.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from genrec.errors import DataError

logger = logging.getLogger(__name__)


class TextCache:
    """Texts by key, in a file of JSON lines.

    A line is written in one step, so that a run that is killed leaves whole lines, or at the worst half a
    last one; that is taken off when the file is opened again. One process at a time may add texts.

    Args:
        path: The file; made with its folder when the first text is added.

    Raises:
        DataError: The file cannot be read, or a line of it is not one of ours.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()
        if self.path.exists():
            self._read()

    def __len__(self) -> int:
        """Number of texts."""
        return len(self._texts)

    def __contains__(self, key: object) -> bool:
        """Whether there is a text of this key."""
        return key in self._texts

    def __getitem__(self, key: str) -> str:
        """The text of a key that is there."""
        return self._texts[key]

    def add(self, key: str, text: str, facts: Mapping[str, object] | None = None) -> None:
        """Adds a text; from any thread.

        Args:
            key: A key that is not there yet; else nothing happens.
            text: The text.
            facts: What is written beside it, for people to read.
        """
        line = json.dumps({"key": key, "text": text, **(facts or {})}).encode("ascii") + b"\n"
        with self._lock:
            if key in self._texts:
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as stream:
                if stream.write(line) != len(line):  # a full disk may take a part of it
                    raise OSError(f"{self.path}: the line was not written whole")
            self._texts[key] = text

    def _read(self) -> None:
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DataError(
                f"the texts in {self.path} cannot be read: {error.strerror or error}",
                received=str(self.path),
                remedy="check the path",
            ) from error
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            logger.warning("%s: half a line at the end is taken off", self.path)
            with self.path.open("r+b") as stream:
                stream.truncate(whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                row = json.loads(line)
                key, text = row["key"], row["text"]
            except (ValueError, KeyError, TypeError):
                key = text = None
            if not isinstance(key, str) or not isinstance(text, str):
                raise DataError(
                    f"{self.path}, line {number}: not a text that was kept here",
                    received=line[:100].decode("utf-8", "replace"),
                    remedy="take the line out, or name another file",
                )
            self._texts.setdefault(key, text)
