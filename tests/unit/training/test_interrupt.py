"""A signal lets the step end, writes a checkpoint and leaves; the resumed run is the undisturbed one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from genrec.errors import TrainingInterrupted
from genrec.training import AlignmentTrainer, newest_complete_checkpoint


class SignalAt(TrainerCallback):
    """Sends this process a signal in the middle of a step."""

    def __init__(self, step: int, *numbers: signal.Signals) -> None:
        self.step, self.numbers = step, numbers

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step - 1:
            for number in self.numbers:
                os.kill(os.getpid(), number)


def weights(trainer: AlignmentTrainer) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(
    tmp_path: Path, make_trainer: Callable[..., AlignmentTrainer], number: signal.Signals
) -> None:
    options = {"ema_decay": 0.9, "residual_dropout": 0.2}
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    whole = make_trainer(tmp_path / "whole", **options)
    whole.train()
    with pytest.raises(TrainingInterrupted, match=r"after step 7 of 12") as told:
        make_trainer(tmp_path / "cut", [SignalAt(7, number)], **options).train()
    assert number.name in str(told.value)
    assert "goes on from checkpoint-7" in str(told.value)
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before
    assert newest_complete_checkpoint(tmp_path / "cut") == tmp_path / "cut" / "checkpoint-7"
    again = make_trainer(tmp_path / "cut", **options)
    again.train()
    assert torch.equal(weights(again), weights(whole))


def test_a_second_ctrl_c_ends_a_run_at_once(
    tmp_path: Path, make_trainer: Callable[..., AlignmentTrainer]
) -> None:
    trainer = make_trainer(tmp_path, [SignalAt(3, signal.SIGINT, signal.SIGINT)])
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert newest_complete_checkpoint(tmp_path) is None
