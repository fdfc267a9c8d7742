"""Texts a language model gave, kept on disk: one line a text, added at the end and never changed.

Does not know what the texts are for, nor who made them.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from genrec.errors import DataError

logger = logging.getLogger(__name__)


class TextCache:
    """Texts by key, in a file of JSON lines.

    A line is written in one step, so that a run that is killed leaves whole lines, or at the worst half a
    last one; that is taken off when the file is opened again, and so is at once what a full disk took of a
    line. The next text always has a line of its own. One process at a time may add texts.

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

        Raises:
            DataError: The disk does not take it; the file stays as it was.
        """
        line = json.dumps({"key": key, "text": text, **(facts or {})}).encode("ascii") + b"\n"
        with self._lock:
            if key in self._texts:
                return
            problem = "the disk took a part of the line"
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab", buffering=0) as stream:
                    end = stream.seek(0, os.SEEK_END)
                    try:
                        if stream.write(line) == len(line):
                            self._texts[key] = text
                            return
                    except OSError:
                        stream.truncate(end)
                        raise
                    stream.truncate(end)
            except OSError as error:
                problem = error.strerror or str(error)
        raise DataError(
            f"a text could not be kept in {self.path}",
            received=problem,
            remedy="make room on the disk and start again: all texts before it are kept",
        )

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
            data = self._mended(data, whole)
        for number, line in enumerate(data.split(b"\n")[:-1], start=1):
            row = _row(line)
            if row is None:
                raise DataError(
                    f"{self.path}, line {number}: not a text that was kept here",
                    received=line[:100].decode("utf-8", "replace"),
                    remedy="take the line out, or name another file",
                )
            self._texts.setdefault(*row)

    def _mended(self, data: bytes, whole: int) -> bytes:
        """Ends a last line that lacks its end alone, takes a torn one off, and returns what is left."""
        try:
            with self.path.open("r+b") as stream:
                if _row(data[whole:]) is not None:
                    stream.seek(0, os.SEEK_END)
                    stream.write(b"\n")
                    return data + b"\n"
                logger.warning("%s: half a line at the end is taken off", self.path)
                stream.truncate(whole)
                return data[:whole]
        except OSError as error:
            raise DataError(
                f"the last line of {self.path} is torn and cannot be mended: {error.strerror or error}",
                received=data[whole:][:100].decode("utf-8", "replace"),
                remedy="take the line out, or make the file writable",
            ) from error


def _row(line: bytes) -> tuple[str, str] | None:
    """Key and text of a line; None where it is not one of ours."""
    try:
        row = json.loads(line)
        key, text = row["key"], row["text"]
    except (ValueError, KeyError, TypeError):
        return None
    return (key, text) if isinstance(key, str) and isinstance(text, str) else None
