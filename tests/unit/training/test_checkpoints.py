"""Only checkpoints written to their end count."""

from __future__ import annotations

from pathlib import Path

from genrec.training.checkpoints import (
    mark_complete,
    newest_complete_checkpoint,
    remove_incomplete_checkpoints,
)


def test_the_newest_complete_one_is_taken_and_half_written_ones_go(tmp_path: Path) -> None:
    assert newest_complete_checkpoint(tmp_path) is None
    for step in (90, 100, 1000, 1200):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    assert newest_complete_checkpoint(tmp_path) is None
    for step in (90, 1000):
        mark_complete(tmp_path / f"checkpoint-{step}")
    assert newest_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-1000"
    (tmp_path / "checkpoint-1200" / "trainer_state.json").touch()  # another trainer's, perhaps
    gone = remove_incomplete_checkpoints(tmp_path)
    assert sorted(folder.name for folder in gone) == ["checkpoint-100"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-1000",
        "checkpoint-1200",
        "checkpoint-90",
        "checkpoint-best",
    ]
