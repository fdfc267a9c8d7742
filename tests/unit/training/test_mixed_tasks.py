"""A mixture of all tasks trains: rows of IDs and of texts in one batch, the same in every batch size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrec.errors import PromptError
from genrec.tasks import TaskMixture, TaskOptions
from genrec.training import AlignmentConfig, AlignmentTrainer
from genrec.vocabulary import build_small_model


def make_trainer(world: Any, folder: Path, **options: Any) -> AlignmentTrainer:
    mixture = TaskMixture.lc_rec(
        world.catalog, world.items, world.log, options={"seqrec": TaskOptions(form="prompted")}, seed=1
    )
    model = build_small_model(
        world.text_tokenizer, hidden_size=16, num_layers=1, num_heads=2, intermediate_size=24, seed=0
    )
    arguments = {
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-2,
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "max_length": 400,
        "seed": 3,
    }
    return AlignmentTrainer(
        model=model,
        text_tokenizer=world.text_tokenizer,
        vocabulary=world.vocabulary,
        train_dataset=mixture,
        args=AlignmentConfig(str(folder), **{**arguments, **options}),
    )


def losses(trainer: AlignmentTrainer) -> list[float]:
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def test_all_six_tasks_train_together(tmp_path: Path, make_world: Callable[..., Any]) -> None:
    trainer = make_trainer(make_world(), tmp_path, max_steps=24)
    curve = losses(trainer)
    assert np.mean(curve[-4:]) < 0.8 * np.mean(curve[:4])
    batch = trainer.prompt_builder.batch([trainer.train_dataset.mixture.catalog.codes[:2]])[0]
    assert trainer.prompt_builder.template is not None
    assert torch.isfinite(trainer.model(torch.from_numpy(batch)).logits).all()


def test_a_row_too_long_is_told_of_before_training(tmp_path: Path, make_world: Callable[..., Any]) -> None:
    with pytest.raises(PromptError, match="does not fit the length limit"):
        make_trainer(make_world(), tmp_path, max_length=40)


def test_eight_mixed_rows_at_once_equal_eight_times_one(
    tmp_path: Path, make_world: Callable[..., Any]
) -> None:
    at_once = losses(make_trainer(make_world(), tmp_path / "a", max_steps=4))
    one_by_one = losses(
        make_trainer(
            make_world(),
            tmp_path / "b",
            max_steps=4,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=8,
        )
    )
    np.testing.assert_allclose(one_by_one, at_once, rtol=1e-4)
