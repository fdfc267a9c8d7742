"""Which of a run's checkpoints are whole.

Does not know what is inside one: the trainer writes a mark as its last act, and only marked folders count.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from genrec.artifacts import atomic_write_text

MARK = "complete"
STATE = "trainer_state.json"


def mark_complete(folder: Path) -> None:
    """Says that everything of the checkpoint is on disk."""
    atomic_write_text(folder / MARK, "every file of this checkpoint was written\n")


def _step(folder: Path) -> int:
    number = folder.name.removeprefix("checkpoint-")
    return int(number) if number.isdigit() else -1


def newest_complete_checkpoint(output_dir: str | Path) -> Path | None:
    """The checkpoint of the highest step that was written to its end, None where there is none."""
    found = [p for p in Path(output_dir).glob("checkpoint-*") if _step(p) >= 0 and (p / MARK).exists()]
    return max(found, key=_step, default=None)


def remove_incomplete_checkpoints(output_dir: str | Path) -> list[Path]:
    """Deletes checkpoints that a killed run left half-written; returns what it deleted.

    One that has the trainer's state (its last file but our mark) is left alone: another trainer may have
    made it.
    """
    broken = [
        folder
        for folder in Path(output_dir).glob("checkpoint-*")
        if _step(folder) >= 0 and not (folder / MARK).exists() and not (folder / STATE).exists()
    ]
    for folder in broken:
        shutil.rmtree(folder)
    return broken
