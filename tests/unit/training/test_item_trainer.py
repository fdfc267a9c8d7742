"""The trainer of item models: it learns a cycle, batches do not matter, a stopped run resumes exactly."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from genrec.catalog import CatalogTrie
from genrec.data import InteractionLog
from genrec.errors import TrainingError, TrainingInterrupted
from genrec.models import ItemLevelModel, ItemSoftmaxModel
from genrec.tasks import ItemSequences
from genrec.training import ItemTrainer, ItemTrainingConfig, newest_complete_checkpoint

ITEMS = [f"i{row}" for row in range(12)]
SMALL = {"hidden_size": 16, "num_layers": 1, "intermediate_size": 16, "max_positions": 6}


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= self.step


class LastLook(TrainerCallback):
    """Measures something when training ends, as a validation of what the last interval left does."""

    row: ClassVar = {"step": 2, "validation_ndcg@10": 0.5}

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        state.log_history.append(self.row)


def cycle_log() -> InteractionLog:
    return InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": ITEMS[(5 * user + 7 * step) % 12], "timestamp": step}
        for user in range(24)
        for step in range(3 + user % 6)
    )


def softmax(**options: Any) -> ItemSoftmaxModel:
    return ItemSoftmaxModel.for_items(12, **{**SMALL, "dropout": 0.0, **options})


def item_level(**options: Any) -> ItemLevelModel:
    codes = np.stack(np.unravel_index(np.arange(12), (4, 3)), axis=1)
    trie = CatalogTrie.from_codes(codes, (4, 3))
    return ItemLevelModel.for_catalog(trie, **{**SMALL, "dropout": 0.0, **options})


@pytest.fixture
def make_trainer() -> Callable[..., ItemTrainer]:
    def make(folder: Path, model: Any, callbacks: Any = (), **options: Any) -> ItemTrainer:
        settings = {
            "max_steps": 12,
            "per_device_train_batch_size": 8,
            "learning_rate": 1e-2,
            "warmup_steps": 0,
            "use_cpu": True,
            "disable_tqdm": True,
            "seed": 3,
            "logging_steps": 1,
            "save_strategy": "steps",
            "save_steps": 4,
            "save_only_model": False,
        }
        rows = ItemSequences(ITEMS, cycle_log(), max_history=5, seed=3)
        args = ItemTrainingConfig(str(folder), **{**settings, **options})
        return ItemTrainer(model=model, train_dataset=rows, args=args, callbacks=callbacks)

    return make


def weights(trainer: ItemTrainer) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])


def losses(trainer: ItemTrainer) -> list[float]:
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


@pytest.mark.parametrize("make_model", [softmax, item_level])
def test_a_cycle_is_learned(tmp_path: Path, make_trainer: Any, make_model: Callable[..., Any]) -> None:
    trainer = make_trainer(tmp_path, make_model(), max_steps=80, save_strategy="no")
    trainer.train()
    assert losses(trainer)[0] > 2.2
    assert losses(trainer)[-1] < 0.1
    assert (tmp_path / "loss_curve.png").exists()


@pytest.mark.parametrize("make_model", [softmax, item_level])
def test_a_cut_off_run_goes_on_as_if_it_had_not_been(
    tmp_path: Path, make_trainer: Any, make_model: Callable[..., Any]
) -> None:
    whole = make_trainer(tmp_path / "whole", make_model(dropout=0.2))
    whole.train()
    make_trainer(tmp_path / "cut", make_model(dropout=0.2), [StopAt(7)]).train()
    shutil.rmtree(tmp_path / "cut" / "checkpoint-7", ignore_errors=True)
    (tmp_path / "cut" / "checkpoint-8").mkdir()  # half-written: it must not count
    resumed = make_trainer(tmp_path / "cut", make_model(dropout=0.2))
    resumed.train()
    assert resumed.state.global_step == 12
    assert torch.equal(weights(whole), weights(resumed))
    assert whole.averaging is not None
    assert resumed.averaging is not None
    assert whole.averaging.shadows is not None
    assert resumed.averaging.shadows is not None
    for name, shadow in whole.averaging.shadows.items():
        assert torch.equal(shadow, resumed.averaging.shadows[name])


def test_a_signal_writes_a_checkpoint_and_the_resumed_run_is_the_undisturbed_one(
    tmp_path: Path, make_trainer: Any, before: Callable[..., TrainerCallback]
) -> None:
    options = {"save_strategy": "no"}
    whole = make_trainer(tmp_path / "whole", softmax(dropout=0.2), **options)
    whole.train()
    stop = before(7, lambda model: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(TrainingInterrupted, match="goes on from checkpoint-7"):
        make_trainer(tmp_path / "cut", softmax(dropout=0.2), [stop], **options).train()
    assert newest_complete_checkpoint(tmp_path / "cut") == tmp_path / "cut" / "checkpoint-7"
    resumed = make_trainer(tmp_path / "cut", softmax(dropout=0.2), **options)
    resumed.train()
    assert resumed.state.global_step == 12
    assert torch.equal(weights(whole), weights(resumed))


def test_a_loss_that_is_no_number_stops_the_run(
    tmp_path: Path, make_trainer: Any, before: Callable[..., TrainerCallback]
) -> None:
    def spoil(model: Any) -> None:
        with torch.no_grad():
            model.item_embeddings.weight[0] = float("nan")

    trainer = make_trainer(tmp_path, softmax(), [before(6, spoil)])
    with pytest.raises(TrainingError, match="no finite number at step 6") as told:
        trainer.train()
    assert "align.learning_rate" in str(told.value)
    assert trainer.model.body.positions.weight.isfinite().all()


def test_what_is_too_little_is_told_with_settings_that_an_item_model_has(
    tmp_path: Path, make_trainer: Any, monkeypatch: pytest.MonkeyPatch, before: Callable[..., TrainerCallback]
) -> None:
    trainer = make_trainer(tmp_path / "memory", softmax(), [before(6, lambda model: torch.empty(1 << 52))])
    with pytest.raises(TrainingError, match="the memory is not enough") as told:
        trainer.train()
    assert "align.batch_size" in str(told.value)
    assert "activation_checkpointing" not in str(told.value)

    def no_space(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(model: Any) -> None:
        monkeypatch.setattr(trainer.averaging, "save", no_space)

    trainer = make_trainer(tmp_path / "disk", softmax(), [before(8, fill)], save_total_limit=1)
    with pytest.raises(TrainingError, match="the disk took no more"):
        trainer.train()
    assert [path.name for path in (tmp_path / "disk").glob("checkpoint-*")] == ["checkpoint-4"]


def test_the_curve_has_what_is_measured_when_training_ends(tmp_path: Path, make_trainer: Any) -> None:
    trainer = make_trainer(tmp_path, softmax(), max_steps=2, save_strategy="no")
    trainer.add_callback(LastLook())
    trainer.train()
    assert json.loads((tmp_path / "loss_curve.json").read_text())[-1] == LastLook.row


def test_one_batch_of_eight_is_four_of_two(tmp_path: Path, make_trainer: Any) -> None:
    options = {"save_strategy": "no", "max_steps": 5}
    one = make_trainer(tmp_path / "one", softmax(), **options)
    parts = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    four = make_trainer(tmp_path / "four", softmax(), **options, **parts)
    one.train()
    four.train()
    np.testing.assert_allclose(losses(one), losses(four), rtol=1e-4)
    torch.testing.assert_close(weights(one), weights(four), rtol=1e-3, atol=1e-4)


def test_embeddings_have_a_weight_decay_of_their_own(tmp_path: Path, make_trainer: Any) -> None:
    trainer = make_trainer(tmp_path, softmax(), weight_decay=0.3, embedding_weight_decay=0.02)
    optimizer = trainer.create_optimizer()
    embeddings = {id(trainer.model.item_embeddings.weight), id(trainer.model.body.positions.weight)}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) in embeddings:
                assert group["weight_decay"] == 0.02
            elif parameter.dim() > 1:
                assert group["weight_decay"] == 0.3
    counted = sum(len(group["params"]) for group in optimizer.param_groups)
    assert counted == len(list(trainer.model.parameters()))


def test_embeddings_alone_may_decay(tmp_path: Path, make_trainer: Any) -> None:
    trainer = make_trainer(tmp_path, softmax(), weight_decay=0.0, embedding_weight_decay=0.02)
    decays = {
        id(parameter): group["weight_decay"]
        for group in trainer.create_optimizer().param_groups
        for parameter in group["params"]
    }
    assert decays[id(trainer.model.item_embeddings.weight)] == 0.02
    assert decays[id(trainer.model.body.positions.weight)] == 0.02
    assert sorted(set(decays.values())) == [0.0, 0.02]


def test_a_decay_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="ema_decay"):
        ItemTrainingConfig(str(tmp_path), ema_decay=1.0)
