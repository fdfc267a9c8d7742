"""The trainer on a tiny model: it learns, stops, resumes exactly, and batches do not matter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from genrec.errors import TrainingError
from genrec.training import AlignmentTrainer


class StopAt(TrainerCallback):
    """Ends a run after a step, as if it had been cut off there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= self.step


class LastLook(TrainerCallback):
    """Measures something when training ends, as a validation of what the last interval left does."""

    row: ClassVar = {"step": 40, "validation_ndcg@10": 0.5}

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        state.log_history.append(self.row)


def weights(trainer: AlignmentTrainer) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])


def losses(trainer: AlignmentTrainer) -> list[float]:
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def test_it_learns_and_writes_its_loss_curve(tmp_path: Path, make_trainer: Callable[..., Any]) -> None:
    trainer = make_trainer(tmp_path, max_steps=40, logging_steps=10, save_strategy="no")
    trainer.add_callback(LastLook())
    trainer.train()
    assert losses(trainer)[-1] < 0.6 * losses(trainer)[0]
    curve = json.loads((tmp_path / "loss_curve.json").read_text())
    assert [row["loss"] for row in curve if "loss" in row] == losses(trainer)
    assert curve[-1] == LastLook.row
    assert (tmp_path / "loss_curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("options", [{}, {"residual_dropout": 0.2, "ema_decay": 0.9}])
def test_a_run_cut_off_and_resumed_equals_one_that_was_not(
    tmp_path: Path, make_trainer: Callable[..., Any], options: dict[str, float]
) -> None:
    whole = make_trainer(tmp_path / "whole", **options)
    whole.train()
    cut = make_trainer(tmp_path / "cut", [StopAt(7)], **options)
    cut.train()
    assert cut.state.global_step == 7
    again = make_trainer(tmp_path / "cut", **options)
    again.train()
    assert torch.equal(weights(again), weights(whole))
    if whole.averaging is not None:
        for name, shadow in whole.averaging.shadows.items():
            assert torch.equal(shadow, again.averaging.shadows[name])


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path, make_trainer: Callable[..., Any]) -> None:
    make_trainer(tmp_path / "whole").train()
    trainer = make_trainer(tmp_path / "cut")
    trainer.train()
    final = weights(trainer)
    shutil.rmtree(tmp_path / "cut" / "checkpoint-12")
    (tmp_path / "cut" / "checkpoint-8" / "complete").unlink()
    (tmp_path / "cut" / "checkpoint-8" / "optimizer.pt").write_bytes(b"half")
    again = make_trainer(tmp_path / "cut")
    again.train()
    assert torch.equal(weights(again), final)


def test_eight_rows_at_once_equal_eight_times_one(tmp_path: Path, make_trainer: Callable[..., Any]) -> None:
    at_once = make_trainer(tmp_path / "a", logging_steps=1)
    at_once.train()
    one_by_one = make_trainer(
        tmp_path / "b", logging_steps=1, per_device_train_batch_size=1, gradient_accumulation_steps=8
    )
    one_by_one.train()
    np.testing.assert_allclose(losses(one_by_one), losses(at_once), rtol=1e-4)
    torch.testing.assert_close(weights(one_by_one), weights(at_once), atol=2e-3, rtol=0)


def test_the_embedding_has_a_weight_decay_of_its_own(
    tmp_path: Path, make_trainer: Callable[..., Any]
) -> None:
    trainer = make_trainer(tmp_path, weight_decay=0.3, embedding_weight_decay=0.02)
    optimizer = trainer.create_optimizer()
    embedding = trainer.model.get_input_embeddings().weight
    decays = [g["weight_decay"] for g in optimizer.param_groups for p in g["params"] if p is embedding]
    assert decays == [0.02]
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    assert count == sum(1 for _ in trainer.model.parameters())
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.3, 0.02, 0.0}


def test_wrong_settings_get_a_clear_error(tmp_path: Path, make_trainer: Callable[..., Any]) -> None:
    with pytest.raises(TrainingError, match="fewer training rows than one batch"):
        make_trainer(tmp_path, users=5)
    with pytest.raises(TrainingError, match="unknown normaliser"):
        make_trainer(tmp_path, normalize="none")
    with pytest.raises(TrainingError, match=r"ema_decay is outside \[0, 1\)"):
        make_trainer(tmp_path, ema_decay=1.0)
    with pytest.raises(TrainingError, match="persistent data loader workers"):
        make_trainer(tmp_path, dataloader_persistent_workers=True, dataloader_num_workers=1)
