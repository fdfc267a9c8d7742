"""The weights' moving average."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from genrec.errors import TrainingError
from genrec.training import WeightAveraging


def step(averaging: WeightAveraging, number: int, event: str = "on_step_end") -> None:
    getattr(averaging, event)(
        cast(TrainingArguments, None), TrainerState(global_step=number), cast(TrainerControl, None)
    )


def test_the_shadow_follows_the_weights_by_the_rule() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    averaging = WeightAveraging(model, decay=0.9)
    torch.nn.init.constant_(model.weight, 0.0)
    step(averaging, 0, "on_train_begin")
    expected = 0.0
    for number in range(1, 60):
        torch.nn.init.constant_(model.weight, float(number))
        step(averaging, number)
        decay = min(0.9, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * number
    with averaging.applied():
        assert model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert model.weight.item() == 59.0


def test_weights_come_back_even_after_an_error() -> None:
    model = torch.nn.Linear(2, 2)
    averaging = WeightAveraging(model, decay=0.5)
    step(averaging, 0, "on_train_begin")
    before = model.weight.detach().clone()
    torch.nn.init.zeros_(model.weight)

    def interrupted() -> None:
        with averaging.applied():
            assert torch.equal(model.weight, before)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert torch.equal(model.weight, torch.zeros(2, 2))


def test_frozen_weights_are_left_out(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    averaging = WeightAveraging(model, decay=0.5)
    step(averaging, 0, "on_train_begin")
    assert averaging.shadows is not None
    assert set(averaging.shadows) == {"weight"}


def test_saved_shadows_are_loaded_and_strangers_refused(tmp_path: Path) -> None:
    model: Any = torch.nn.Linear(2, 2)
    averaging = WeightAveraging(model, decay=0.5)
    with pytest.raises(TrainingError, match="before training began"):
        averaging.save(tmp_path)
    step(averaging, 0, "on_train_begin")
    averaging.save(tmp_path)
    again = WeightAveraging(torch.nn.Linear(2, 2), decay=0.5)
    again.load(tmp_path)
    step(again, 5, "on_train_begin")  # keeps what was loaded
    assert again.shadows is not None
    assert torch.equal(again.shadows["weight"], model.weight)
    with pytest.raises(TrainingError, match="belong to another model"):
        WeightAveraging(torch.nn.Linear(3, 2), decay=0.5).load(tmp_path)
    with pytest.raises(TrainingError, match="holds no averaged weights"):
        again.load(tmp_path / "nowhere")
