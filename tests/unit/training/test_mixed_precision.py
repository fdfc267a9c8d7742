"""A step under mixed precision keeps less and says the same; the loss reads from the device once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from genrec.decoding import NORMALIZATIONS, OutputHead
from genrec.training import AlignmentTrainer, SemanticIdLoss
from genrec.training.mixed_precision import AdapterCasts, last_states


def gradients_and_kept(trainer: AlignmentTrainer, left: bool) -> tuple[list[torch.Tensor], int]:
    """Gradients of a step under autocast, and the bytes that its forward kept for backward."""
    model = trainer.model
    batch = trainer.data_collator([trainer.rows[index] for index in range(8)])
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.zero_grad()
    with AdapterCasts(model).left_to_autocast(left), last_states(model) as caught:
        with (
            torch.autocast("cpu", torch.bfloat16),
            torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t),
        ):
            model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False)
        head = OutputHead.of(model)
        trainer.semantic_id_loss(caught[0], head, batch["input_ids"], batch["labels"]).backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None], sum(kept.values())


def test_adapters_without_their_casts_give_the_same_gradients_from_less_memory(
    tmp_path: Path, make_run: Callable[..., Any]
) -> None:
    trainer = make_run(tmp_path, lora_r=4)
    trainer.model.base_model.model.model.to(torch.bfloat16)
    for name, parameter in trainer.model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
            parameter.data.normal_(generator=torch.Generator().manual_seed(0), std=0.1)
    trainer.model.train()
    with_casts, more = gradients_and_kept(trainer, left=False)
    without, less = gradients_and_kept(trainer, left=True)
    assert less < 0.9 * more
    assert len(with_casts) == len(without) > 4
    for ours, theirs in zip(without, with_casts, strict=True):
        assert torch.equal(ours, theirs)
    again, _ = gradients_and_kept(trainer, left=False)  # the casts are back
    assert all(torch.equal(a, b) for a, b in zip(again, with_casts, strict=True))


def test_casts_come_back_after_an_error_and_stay_where_there_is_no_autocast(
    tmp_path: Path, make_run: Callable[..., Any]
) -> None:
    casts = AdapterCasts(make_run(tmp_path, lora_r=4).model)
    assert casts.layers
    with casts.left_to_autocast(False):
        assert all(layer.cast_input_dtype_enabled for layer in casts.layers)

    def fail() -> None:
        with casts.left_to_autocast(True):
            assert not any(layer.cast_input_dtype_enabled for layer in casts.layers)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert all(layer.cast_input_dtype_enabled for layer in casts.layers)


def test_last_states_are_the_last_hidden_states_and_the_hook_goes(tiny: Any) -> None:
    ids = torch.tensor([[1, 5, 7, 2]])
    with last_states(tiny.model) as caught:
        out = tiny.model(input_ids=ids, output_hidden_states=True)
    assert torch.equal(caught[0], out.hidden_states[-1])
    tiny.model(input_ids=ids)
    assert len(caught) == 1


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_the_loss_reads_from_the_device_once(tiny: Any, normalize: Any) -> None:
    loss = SemanticIdLoss(tiny.trie, tiny.vocabulary, normalize)
    ids = torch.from_numpy(tiny.vocabulary.encode(tiny.codes[:6])).reshape(2, -1)
    hidden, head = torch.randn(*ids.shape, tiny.model.config.hidden_size), OutputHead.of(tiny.model)
    loss(hidden, head, ids, ids)
    reads = []
    kept, torch.Tensor.tolist = torch.Tensor.tolist, lambda t: reads.append(t) or kept(t)  # type: ignore
    try:
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            loss(hidden, head, ids, ids)
    finally:
        torch.Tensor.tolist = kept  # type: ignore[method-assign]
    called = {event.key for event in profiled.key_averages()}
    assert len(reads) == 1
    waits = {"aten::nonzero", "aten::item", "aten::_local_scalar_dense", "aten::is_nonzero"}
    assert "aten::index_select" in called
    assert not called & waits
