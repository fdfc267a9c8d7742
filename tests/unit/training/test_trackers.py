"""Trackers: a missing package is named before training, an installed one gets the losses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genrec.errors import TrainingError
from genrec.training import AlignmentConfig
from genrec.training.trackers import check_trackers

STUB = """
class SummaryWriter:
    scalars = []
    def __init__(self, *args, **kwargs): pass
    def add_scalar(self, name, value, step): self.scalars.append((name, value, step))
    def __getattr__(self, name): return lambda *args, **kwargs: None
"""


@pytest.mark.parametrize("name", ["trackio", "tensorboard", "wandb"])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("genrec.training.trackers.importlib.util.find_spec", lambda package: None)
    with pytest.raises(TrainingError, match=f"pip install {name}"):
        AlignmentConfig(str(tmp_path), use_cpu=True, report_to=[name])


def test_names() -> None:
    check_trackers(None)
    check_trackers("none")
    check_trackers(["mlflow"])  # transformers' own business
    with pytest.raises(TrainingError, match="did you mean 'trackio'"):
        check_trackers("trakio")


def test_an_installed_tracker_gets_the_losses(
    tmp_path: Path, make_trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers.integrations.integration_utils as integrations

    (tmp_path / "tensorboardX.py").write_text(STUB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as where tensorboard is missing
    monkeypatch.setattr(integrations, "is_tensorboard_available", lambda: True)
    trainer = make_trainer(tmp_path / "out", max_steps=4, logging_steps=2, report_to="tensorboard")
    trainer.train()
    from tensorboardX import SummaryWriter

    losses = [(value, step) for name, value, step in SummaryWriter.scalars if name == "train/loss"]
    assert losses == [(row["loss"], row["step"]) for row in trainer.state.log_history if "loss" in row]
    assert [step for _, step in losses] == [2, 4]
