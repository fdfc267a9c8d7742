"""One job of batch scoring on disk: what it is, which parts are done, and the joining of them.

Does not know how a part is made. A part is there whole or not at all, so that a job that was killed goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrec.artifacts import atomic_write_text
from genrec.errors import ArtifactError
from genrec.recommender.answer_file import answer_format, join_parts

if sys.platform != "win32":
    import fcntl


@dataclass(frozen=True)
class BatchJob:
    """A job: its output, and everything the output depends on.

    Attributes:
        out: The file of all lists.
        facts: Digests and settings; a job with other facts is another job.
        num_parts: Parts of it.
    """

    out: Path
    facts: Mapping[str, Any]
    num_parts: int

    @property
    def folder(self) -> Path:
        """Where its parts lie until they are joined."""
        return self.out.with_name(self.out.name + ".parts")

    @property
    def note(self) -> Path:
        """What the output was made from, beside it."""
        return self.out.with_name(self.out.name + ".job.json")

    def part(self, number: int) -> Path:
        """The file of one part."""
        return self.folder / f"part-{number:06}.parquet"

    def finished(self) -> bool:
        """Whether the output is there, of this very job."""
        return self.out.is_file() and not self.folder.exists() and _read(self.note) == self._plain()

    def open(self, *, overwrite: bool = False) -> list[int]:
        """Begins the job or goes on with it.

        Several processes may call this at once.

        Args:
            overwrite: Whether an output or the parts of another job may be thrown away.

        Returns:
            Numbers of the parts that are still to be made.

        Raises:
            ArtifactError: The output, or parts of another job, are there already.
            DataError: A name that does not say the format.
        """
        answer_format(self.out)
        with _locked(self.out):
            found = _read(self.folder / "job.json")
            if self.folder.exists() and found != self._plain():
                self._refuse(self.folder, found, overwrite)
                shutil.rmtree(self.folder)
            if not self.folder.exists():
                if self.out.exists() and not self.finished():
                    self._refuse(self.out, _read(self.note), overwrite)
                begun = self._beside("begun")  # a folder of parts says from the first moment whose they are
                shutil.rmtree(begun, ignore_errors=True)
                begun.mkdir(parents=True)
                atomic_write_text(begun / "job.json", json.dumps(self._plain(), indent=2) + "\n")
                begun.rename(self.folder)
            return [number for number in range(self.num_parts) if not self.part(number).is_file()]

    def join(self) -> int | None:
        """Joins the parts if all are there, and clears them away.

        Returns:
            Number of users; None where parts are missing (another process is still at work on them), or where
            another process has joined them.
        """
        with _locked(self.out):
            parts = [self.part(number) for number in range(self.num_parts)]
            if not self.folder.exists() or not all(part.is_file() for part in parts):
                return None
            for left in self.out.parent.glob(f".{self.out.name}.*.tmp"):  # of a run that was killed here
                left.unlink()
            users = join_parts(parts, self.out)
            atomic_write_text(self.note, json.dumps(self._plain(), indent=2) + "\n")
            done = self._beside("done")  # gone in one step, so that no half of it is taken for another job's
            shutil.rmtree(done, ignore_errors=True)
            self.folder.rename(done)
            shutil.rmtree(done)
            return users

    def _beside(self, state: str) -> Path:
        return self.folder.with_name(f".{self.folder.name}.{state}")

    def _plain(self) -> dict[str, Any]:
        return {**self.facts, "parts": self.num_parts}

    def _refuse(self, path: Path, found: Mapping[str, Any] | None, overwrite: bool) -> None:
        if overwrite:
            return
        ours = self._plain()
        differ = sorted(name for name in ours if found is not None and found.get(name) != ours[name])
        raise ArtifactError(
            f"{path} is there already, of another job" if found else f"{path} is there already",
            received=f"other {', '.join(differ)}" if differ else None,
            remedy="give another --out, remove it, or pass --overwrite",
        )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One process of a machine at a time."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(out.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
