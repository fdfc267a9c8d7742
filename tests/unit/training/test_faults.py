"""Lack of memory, of disk space or of a finite loss: the error names the setting, nothing is half-written."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from genrec.errors import TrainingError
from genrec.training import AlignmentTrainer, newest_complete_checkpoint
from genrec.training.checkpoints import mark_complete, remove_oldest_checkpoints
from genrec.training.faults import told_faults

Make = Callable[..., AlignmentTrainer]


def no_space(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def folders(output_dir: Path) -> list[str]:
    return sorted(path.name for path in output_dir.glob("checkpoint-*"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_the_weights_are_spoiled(
    tmp_path: Path, make_trainer: Make, value: float, before: Callable[..., TrainerCallback]
) -> None:
    def spoil(model: Any) -> None:
        with torch.no_grad():
            model.model.norm.weight[0] = value

    trainer = make_trainer(tmp_path, [before(6, spoil)])
    before = trainer.model.model.layers[0].mlp.up_proj.weight
    with pytest.raises(TrainingError, match=r"no finite number at step 6") as told:
        trainer.train()
    assert "align.learning_rate" in str(told.value)
    assert "checkpoint-4 are finite" in str(told.value)
    assert before.isfinite().all()
    assert folders(tmp_path) == ["checkpoint-4"]


def test_a_gradient_that_is_no_number_stops_too(
    tmp_path: Path, make_trainer: Make, before: Callable[..., TrainerCallback]
) -> None:
    def hook(model: Any) -> None:
        model.model.norm.weight.register_hook(lambda gradient: gradient * float("inf"))

    trainer = make_trainer(tmp_path, [before(2, hook)])
    with pytest.raises(TrainingError, match=r"no finite number at step 2"):
        trainer.train()
    assert all(bool(p.isfinite().all()) for p in trainer.model.parameters())


def full_file(name: str) -> Callable[[Path], None]:
    """The device that is always full stands in the file's place."""

    def fill(folder: Path) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full to stand for a full disk")
        folder.mkdir()
        (folder / name).symlink_to("/dev/full")

    return fill


def small_files(folder: Path) -> None:
    """The system takes no file of more than a kilobyte."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    "fill",
    [small_files, *map(full_file, ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"))],
    ids=["weights", "optimizer", "scheduler", "rng", "state"],
)
def test_a_full_disk_leaves_no_half_checkpoint_and_the_older_one_stays(
    tmp_path: Path, make_trainer: Make, fill: Callable[[Path], None], before: Callable[..., TrainerCallback]
) -> None:
    trainer = make_trainer(
        tmp_path, [before(8, lambda model: fill(tmp_path / "checkpoint-8"))], save_total_limit=1
    )
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(TrainingError, match="the disk took no more") as told:
            trainer.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    for setting in ("output_dir", "keep_checkpoints", "save_total_limit"):
        assert setting in str(told.value)
    assert "goes on from checkpoint-4" in str(told.value)
    assert folders(tmp_path) == ["checkpoint-4"]
    assert newest_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-4"


def test_the_older_checkpoint_stays_until_the_average_is_written_too(
    tmp_path: Path,
    make_trainer: Make,
    monkeypatch: pytest.MonkeyPatch,
    before: Callable[..., TrainerCallback],
) -> None:
    def fill(model: Any) -> None:
        monkeypatch.setattr(trainer.averaging, "save", no_space)

    trainer = make_trainer(tmp_path, [before(8, fill)], ema_decay=0.9, save_total_limit=1)
    with pytest.raises(TrainingError, match="the disk took no more"):
        trainer.train()
    assert folders(tmp_path) == ["checkpoint-4"]


def test_a_checkpoint_that_cannot_be_marked_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrec.training.checkpoints.atomic_write_text", no_space)
    (tmp_path / "checkpoint-3").mkdir()
    with pytest.raises(OSError, match="No space left"):
        mark_complete(tmp_path / "checkpoint-3")
    assert folders(tmp_path) == []


def test_too_little_memory_names_the_batch(
    tmp_path: Path, make_trainer: Make, before: Callable[..., TrainerCallback]
) -> None:
    trainer = make_trainer(tmp_path, [before(6, lambda model: torch.empty(1 << 52))])
    with pytest.raises(TrainingError, match="the memory is not enough") as told:
        trainer.train()
    for setting in ("align.batch_size", "per_device_train_batch_size", "align.activation_checkpointing"):
        assert setting in str(told.value)
    assert "can't allocate memory" in str(told.value.received)
    assert "goes on from checkpoint-4" in str(told.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "the memory is not enough"),
        (MemoryError(), "the memory is not enough"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk took no more"),
    ],
)
def test_other_faces_of_the_same_faults(tmp_path: Path, error: Exception, words: str) -> None:
    with pytest.raises(TrainingError, match=words) as told, told_faults(tmp_path):
        raise error
    assert told.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), FileNotFoundError("no such file"), KeyError()]
)
def test_other_errors_pass_as_they_are(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as told, told_faults(tmp_path):
        raise error
    assert told.value is error


def test_only_whole_checkpoints_are_counted_and_the_oldest_go(tmp_path: Path) -> None:
    for step in (4, 8, 12, 16):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step != 16:
            mark_complete(tmp_path / f"checkpoint-{step}")
    remove_oldest_checkpoints(tmp_path, None)
    assert len(folders(tmp_path)) == 4
    remove_oldest_checkpoints(tmp_path, 2)
    assert folders(tmp_path) == ["checkpoint-12", "checkpoint-16", "checkpoint-8"]
