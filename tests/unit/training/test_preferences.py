"""Preference optimisation: the reference is the model that came, the rejected fall behind, runs resume."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from genrec.data import InteractionLog
from genrec.decoding import OutputHead
from genrec.errors import TrainingError
from genrec.tasks import PreferencePairs
from genrec.training import AlignmentTrainer, PreferenceCollator, PreferenceConfig, PreferenceTrainer, merge
from genrec.training.compat import plain_forward

SETTINGS: dict[str, Any] = {
    "max_steps": 6,
    "save_strategy": "no",
    "per_device_train_batch_size": 8,
    "learning_rate": 5e-3,
    "logging_steps": 1,
    "use_cpu": True,
    "disable_tqdm": True,
    "seed": 3,
}


class StopAt(TrainerCallback):
    """Ends a run after a step, as if it had been cut off there."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= 3


@pytest.fixture
def aligned(
    make_run: Callable[..., AlignmentTrainer], make_base: Callable[..., Any], tmp_path: Path
) -> Callable[..., AlignmentTrainer]:
    """A trainer of alignment whose trained weights are anywhere but where they began."""

    def make(tied: bool = True, **options: Any) -> AlignmentTrainer:
        trainer = make_run(tmp_path / "aligned", make_base(tied=tied), save_strategy="no", **options)
        generator = torch.Generator().manual_seed(0)
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        return trainer

    return make


@pytest.fixture
def preferring(training_log: InteractionLog, tmp_path: Path) -> Callable[..., PreferenceTrainer]:
    def make(
        source: AlignmentTrainer,
        name: str = "out",
        num_rejected: int = 1,
        callbacks: Any = (),
        **options: Any,
    ) -> PreferenceTrainer:
        return PreferenceTrainer(
            model=source.model,
            prompt_builder=source.prompt_builder,
            train_dataset=PreferencePairs.from_log(
                source.mixture.catalog, training_log, num_rejected=num_rejected, max_history=5
            ),
            args=PreferenceConfig(str(tmp_path / name), **{**SETTINGS, **options}),
            callbacks=callbacks,
        )

    return make


def batch_of(trainer: PreferenceTrainer) -> dict[str, torch.Tensor]:
    rows = [trainer.train_dataset[index] for index in range(8)]
    batch: dict[str, torch.Tensor] = trainer.data_collator(rows)
    return batch


@pytest.mark.parametrize(
    ("num_rejected", "tied", "lora_r", "fresh"),
    [(1, True, 4, 4), (3, False, 4, 4), (3, True, 0, 0), (1, True, 4, 0), (1, False, 0, 4)],
)
def test_before_the_first_step_nothing_is_preferred(
    aligned: Callable[..., AlignmentTrainer],
    preferring: Callable[..., PreferenceTrainer],
    num_rejected: int,
    tied: bool,
    lora_r: int,
    fresh: int,
) -> None:
    trainer = preferring(aligned(tied, lora_r=lora_r), num_rejected=num_rejected, lora_r=fresh)
    loss = trainer.compute_loss(trainer.model.train(), batch_of(trainer))
    assert float(loss.detach()) == pytest.approx(math.log(1 + num_rejected), abs=1e-6)


@pytest.mark.parametrize("fresh", [4, 0])
def test_the_chosen_win_and_the_reference_stays(
    aligned: Callable[..., AlignmentTrainer],
    preferring: Callable[..., PreferenceTrainer],
    tmp_path: Path,
    fresh: int,
) -> None:
    trainer = preferring(aligned(lora_r=4), lora_r=fresh, max_steps=20, learning_rate=2e-2)
    batch = batch_of(trainer)

    def reference() -> torch.Tensor:
        with torch.no_grad():
            if trainer.ref_model is not None:
                return trainer.log_probs(trainer.ref_model, batch)
            with trainer.model.disable_adapter():
                return trainer.log_probs(trainer.model, batch)

    before = reference()
    trainer.train()
    history = [row for row in trainer.state.log_history if "loss" in row]
    assert history[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)  # as it is logged
    assert history[-1]["loss"] < 0.6
    assert history[-1]["rewards/accuracies"] > 0.8
    assert history[-1]["rewards/chosen"] > history[-1]["rewards/rejected"]
    torch.testing.assert_close(reference(), before)
    with torch.no_grad():
        ours = trainer.log_probs(trainer.model, batch)
        if fresh:
            plain = merge(trainer.model).eval()
            torch.testing.assert_close(trainer.log_probs(plain, batch), ours, atol=1e-4, rtol=1e-4)
    gained = ours - before
    assert float((gained[0] - gained[1]).mean()) > 0
    assert (tmp_path / "out" / "loss_curve.png").exists()


def test_probabilities_are_those_of_the_loss_of_alignment(
    aligned: Callable[..., AlignmentTrainer], preferring: Callable[..., PreferenceTrainer]
) -> None:
    for normalize in ("allowed", "level", "full"):
        trainer = preferring(aligned(lora_r=4), normalize, normalize=normalize)
        batch = batch_of(trainer)
        with torch.no_grad():
            found = trainer.log_probs(trainer.model, batch).reshape(-1)
            out = trainer.model(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                output_hidden_states=True,
            )
            head, loss = OutputHead.of(trainer.model), trainer.semantic_id_loss
            for row in range(len(found)):
                one = slice(row, row + 1)
                total = loss(out.hidden_states[-1][one], head, batch["input_ids"][one], batch["labels"][one])
                assert float(found[row]) == pytest.approx(-float(total), abs=1e-4)


def test_no_layer_but_the_last_is_asked_for(
    aligned: Callable[..., AlignmentTrainer],
    preferring: Callable[..., PreferenceTrainer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = preferring(aligned(lora_r=4))
    asked, forward = [], trainer.model.forward

    def watched(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs["output_hidden_states"])
        return forward(*args, **kwargs)

    monkeypatch.setattr(trainer.model, "forward", watched)
    trainer.compute_loss(trainer.model, batch_of(trainer))
    assert asked == [False, False]  # the model and its reference


def test_a_run_cut_off_and_resumed_equals_one_that_was_not(
    aligned: Callable[..., AlignmentTrainer], preferring: Callable[..., PreferenceTrainer], tmp_path: Path
) -> None:
    def run(name: str, *callbacks: Any) -> PreferenceTrainer:
        options = {"save_strategy": "steps", "save_steps": 2}
        trainer = preferring(aligned(lora_r=4), name, callbacks=callbacks, **options)
        trainer.train()
        return trainer

    whole = run("whole")
    assert run("cut", StopAt()).state.global_step == 3
    again = run("cut")
    assert again.state.global_step == 6
    for (name, ours), theirs in zip(again.model.named_parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert (tmp_path / "cut" / "checkpoint-6" / "complete").exists()
    saved = (tmp_path / "cut" / "checkpoint-6" / "adapter_model.safetensors").stat().st_size
    assert saved < 200_000  # adapters and new rows, no matrix


def test_a_batch_holds_every_prompt_with_each_of_its_items() -> None:
    rows = [
        {"prompt_ids": np.array([1, 5]), "chosen_ids": np.array([7]), "rejected_ids": np.array([[8], [9]])},
        {"prompt_ids": np.array([1]), "chosen_ids": np.array([6]), "rejected_ids": np.array([[7], [5]])},
    ]
    batch = PreferenceCollator(pad_token_id=0)(rows)
    assert batch["input_ids"].tolist() == [[1, 5, 7], [1, 6, 0], [1, 5, 8], [1, 7, 0], [1, 5, 9], [1, 5, 0]]
    assert batch["labels"][:2].tolist() == [[-100, -100, 7], [-100, 6, -100]]
    assert batch["attention_mask"][1].tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"loss_type": ["ipo"]}, "loss_type"),
        ({"label_smoothing": 0.1}, "label_smoothing"),
        ({"normalize": "some"}, "normaliser"),
        ({"lora_r": -1}, "lora_r"),
    ],
)
def test_what_has_no_place_is_refused(tmp_path: Path, option: dict[str, Any], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        PreferenceConfig(str(tmp_path), use_cpu=True, **option)


def test_fewer_preferences_than_a_batch_are_refused(
    aligned: Callable[..., AlignmentTrainer], preferring: Callable[..., PreferenceTrainer]
) -> None:
    with pytest.raises(TrainingError, match="fewer preferences"):
        preferring(aligned(), per_device_train_batch_size=1000)


def test_a_copy_of_a_model_that_trl_has_wrapped_runs_its_own_weights(
    aligned: Callable[..., AlignmentTrainer],
) -> None:
    model = aligned().model.eval()
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        copied, mended = copy.deepcopy(model), plain_forward(copy.deepcopy(model))
        before = model(input_ids=ids).logits
        for parameter in model.parameters():
            parameter.zero_()
        assert not copied(input_ids=ids).logits.any()  # the fault: it runs the weights of the original
        torch.testing.assert_close(mended(input_ids=ids).logits, before)
