"""Which of a run's checkpoints are whole.

Does not know what is inside one: the trainer writes a mark as its last act, and only marked folders count.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genrec.artifacts import atomic_write_text
from genrec.errors import TrainingError
from genrec.training.processes import any_process, process_state

logger = logging.getLogger(__name__)

MARK = "complete"
STATE = "trainer_state.json"


def mark_complete(folder: Path) -> None:
    """Says that everything of the checkpoint is on disk; one that cannot be marked is removed."""
    try:
        atomic_write_text(folder / MARK, "every file of this checkpoint was written\n")
    except OSError:
        remove_checkpoint(folder)
        raise


def write_whole(folder: Path, write: Callable[[], None], *, keep: int | None, sharded: bool = False) -> None:
    """Writes a checkpoint whole or not at all; older ones go only when it is whole. All processes call this.

    Args:
        folder: The checkpoint's.
        write: Writes it, from all processes.
        keep: Checkpoints kept; None = all.
        sharded: Parameters are shared out: where one process fails the others may wait in the middle of
            saving, so they are not asked.

    Raises:
        TrainingError: Another process could not write its part.
    """
    problem: Exception | None = None
    try:
        write()
    except Exception as error:
        problem = error
    if (sharded and problem is not None) or any_process(problem is not None):
        remove_checkpoint(folder)
        raise problem or TrainingError(f"another process could not write {folder}")
    if process_state().is_main_process:
        mark_complete(folder)
        remove_oldest_checkpoints(folder.parent, keep)


def remove_checkpoint(folder: Path) -> None:
    """Deletes a checkpoint that could not be written; several processes may do so at once."""
    shutil.rmtree(folder, ignore_errors=True)


def _step(folder: Path) -> int:
    number = folder.name.removeprefix("checkpoint-")
    return int(number) if number.isdigit() else -1


def newest_complete_checkpoint(output_dir: str | Path) -> Path | None:
    """The checkpoint of the highest step that was written to its end, None where there is none."""
    found = [p for p in Path(output_dir).glob("checkpoint-*") if _step(p) >= 0 and (p / MARK).exists()]
    return max(found, key=_step, default=None)


def resume_point(output_dir: str | Path, asked: Any = None) -> Path | None:
    """The checkpoint a run goes on from, once half-written ones are gone. All processes call this.

    Args:
        output_dir: The run's folder.
        asked: A checkpoint folder; None or True for the newest complete one; False to start anew.
    """
    state = process_state()
    if state.is_main_process:
        for folder in remove_incomplete_checkpoints(output_dir):
            logger.warning("removed the half-written checkpoint %s", folder)
    state.wait_for_everyone()
    found = newest_complete_checkpoint(output_dir) if asked is None or asked is True else asked
    if not found:
        return None
    logger.info("resuming from %s", found)
    return Path(found)


def remove_oldest_checkpoints(output_dir: str | Path, keep: int | None) -> None:
    """Deletes whole checkpoints but the `keep` newest; None keeps all."""
    whole = [p for p in Path(output_dir).glob("checkpoint-*") if _step(p) >= 0 and (p / MARK).exists()]
    if keep is not None:
        for folder in sorted(whole, key=_step)[: -max(keep, 1)]:
            shutil.rmtree(folder)


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
