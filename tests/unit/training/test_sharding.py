"""Logits of some positions as a head, and whole copies of a model, without any launch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from genrec.decoding import OutputHead
from genrec.errors import TrainingError
from genrec.training import SemanticIdLoss
from genrec.training.sharding import (
    KeptLogits,
    WholeModel,
    forget_zero3_loading,
    models_still_whole,
    predicting_positions,
)


@pytest.mark.parametrize("normalize", ["allowed", "level", "full"])
def test_logits_of_the_labelled_positions_give_the_same_loss_and_gradients(
    tmp_path: Path, make_trainer: Callable[..., Any], normalize: Any
) -> None:
    trainer = make_trainer(tmp_path)
    model, vocabulary = trainer.model, trainer.prompt_builder.vocabulary
    batch = next(iter(trainer.get_train_dataloader()))
    ids, labels = batch["input_ids"], batch["labels"].clone()
    labels[:, :4] = -100  # positions that nobody predicts
    loss = SemanticIdLoss(trainer.mixture.catalog.trie, vocabulary, normalize)
    inputs = {"input_ids": ids, "position_ids": batch["position_ids"], "use_cache": False}

    hidden = model(**inputs, output_hidden_states=True).hidden_states[-1]
    expected = loss(hidden, OutputHead.of(model), ids, labels)
    expected.backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()

    kept = predicting_positions(labels)
    assert 0 < len(kept) < ids.shape[1] - 1
    head = KeptLogits(model(**inputs, logits_to_keep=kept).logits, kept)
    assert head.logits.shape[0] == len(ids) * len(kept)
    found = loss(head.states(ids.shape[1]), head, ids, labels)
    torch.testing.assert_close(found, expected)
    found.backward()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-4)


def test_a_batch_without_labels_keeps_one_position() -> None:
    assert predicting_positions(torch.full((2, 5), -100)).tolist() == [0]
    labels = torch.full((2, 5), -100)
    labels[0, 0] = labels[1, 3] = 7  # nothing predicts the first token
    assert predicting_positions(labels).tolist() == [2]


@pytest.mark.parametrize("tied", [True, False])
def test_a_whole_copy_has_the_weights_of_the_moment_and_lives_apart(
    make_tiny: Callable[..., Any], tied: bool
) -> None:
    model = make_tiny(tied=tied).model
    whole_model = WholeModel(model, Accelerator(cpu=True))
    assert all(p.device.type == "meta" for p in whole_model.outline.parameters())
    ids = torch.arange(10)[None]
    for _ in range(2):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.1)
        with whole_model.gathered(model) as whole, torch.no_grad():
            assert torch.equal(whole(input_ids=ids).logits, model(input_ids=ids).logits)
            assert (whole.lm_head.weight is whole.model.embed_tokens.weight) == tied
    assert all(p.device.type == "meta" for p in whole_model.outline.parameters())
    assert type(whole) is type(model)


def test_the_copy_does_not_call_the_original(tmp_path: Path, make_trainer: Callable[..., Any]) -> None:
    model = make_trainer(tmp_path).model  # trl has bound a forward of its own to it
    whole_model = WholeModel(model, Accelerator(cpu=True))
    calls: list[object] = []
    model.model.register_forward_hook(lambda *arguments: calls.append(arguments))
    with whole_model.gathered(model) as whole, torch.no_grad():
        whole(input_ids=torch.arange(10)[None])
    assert calls == []


def test_sharded_weights_cannot_be_averaged(
    tmp_path: Path, make_trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrec.training.trainer.is_sharded", lambda accelerator: True)
    make_trainer(tmp_path, ema_decay=0.0)
    with pytest.raises(TrainingError, match="cannot be averaged") as told:
        make_trainer(tmp_path, ema_decay=0.9)
    assert "align.ema_decay" in str(told.value)


def test_a_model_is_wrapped_and_loaded_whole_though_zero3_is_on() -> None:
    pytest.importorskip("deepspeed")
    from transformers.integrations import HfDeepSpeedConfig, is_deepspeed_zero3_enabled

    config = HfDeepSpeedConfig({"zero_optimization": {"stage": 3}})  # transformers keeps a weak reference
    assert is_deepspeed_zero3_enabled()
    with models_still_whole():
        assert not is_deepspeed_zero3_enabled()
    assert is_deepspeed_zero3_enabled()
    forget_zero3_loading()
    assert not is_deepspeed_zero3_enabled()
    with models_still_whole():
        pass
    assert not is_deepspeed_zero3_enabled()
    del config
