"""Training with parameters that no process has whole (ZeRO-3, FSDP2): logits for the loss, whole copies.

Does not know rankers or metrics. Outside the model's forward a parameter is empty (ZeRO-3) or a slice
(FSDP2), so the loss takes logits that the forward returned; who needs the whole model gets a gathered copy.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType
from torch import Tensor, nn

from genrec.decoding import LogitsHead
from genrec.errors import TrainingError
from genrec.tasks import IGNORED_LABEL


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether the launch shares parameters out over its processes."""
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        return bool(accelerator.state.deepspeed_plugin.zero_stage == 3)
    return bool(accelerator.distributed_type == DistributedType.FSDP)


def allow_fsdp_on_cpu() -> None:
    """Lets accelerate share parameters out over CPUs where its own `ACCELERATE_USE_FSDP` asks for it.

    accelerate 1.15 looks for that variable on accelerators only, though FSDP2 itself runs over gloo.
    """
    state = PartialState()
    asked = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    if asked and state.distributed_type == DistributedType.MULTI_CPU:
        state.distributed_type = (
            DistributedType.MULTI_GPU
        )  # one of those for which it looks; the device stays


def forget_zero3_loading() -> None:
    """Models loaded from now on are whole: under ZeRO-3 transformers takes every one apart as it loads."""
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()


@contextmanager
def models_still_whole() -> Iterator[None]:
    """Within the block a model may be wrapped as outside of ZeRO-3: it has not been taken apart yet.

    peft gathers the rows of new tokens itself where transformers says that ZeRO-3 is on, and can do so on
    CUDA only.
    """
    from transformers.integrations import deepspeed

    reference: Any = deepspeed._hf_deepspeed_config_weak_ref
    kept = reference() if reference is not None else None
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if kept is not None:
            deepspeed.set_hf_deepspeed_config(kept)


class KeptLogits:
    """A head over the logits of some positions; its `states` are the numbers of their rows.

    Args:
        logits: float `[batch, kept, vocabulary]`, what the model returned for `logits_to_keep=kept`.
        kept: int64 `[kept]`, those positions.
    """

    def __init__(self, logits: Tensor, kept: Tensor) -> None:
        self.logits = logits.flatten(0, 1)  # [batch * kept, vocabulary]
        self.kept = kept
        self.batch = len(logits)

    def states(self, tokens: int) -> Tensor:
        """Row numbers, int64 `[batch, tokens, 1]`; 0 at positions that were not kept."""
        rows = self.kept.new_zeros((self.batch, tokens))
        rows[:, self.kept] = torch.arange(len(self.logits), device=rows.device).view(self.batch, -1)
        return rows.unsqueeze(-1)

    def rows(self, states: Tensor, token_ids: Tensor) -> Tensor:
        """Logits `[n, m]` of the tokens `token_ids [m]`."""
        return self.logits[states, token_ids]

    def full(self, states: Tensor) -> Tensor:
        """Logits `[n, vocabulary]`."""
        return self.logits[states[:, 0]]

    def cross_entropy(self, states: Tensor, targets: Tensor) -> Tensor:
        """Summed cross-entropy of `targets [n]` over the whole vocabulary, float32."""
        return LogitsHead().cross_entropy(self.full(states), targets)

    def log_normalizer(self, states: Tensor) -> Tensor:
        """Normaliser of the softmax over the whole vocabulary, float32 `[n]`."""
        return LogitsHead().log_normalizer(self.full(states))


def predicting_positions(labels: Tensor) -> Tensor:
    """Positions whose next token is labelled in any row of `labels [batch, tokens]`, int64, at least one."""
    kept = (labels[:, 1:] != IGNORED_LABEL).any(0).nonzero().squeeze(1)
    return kept if len(kept) else kept.new_zeros(1)


class WholeModel:
    """Gathers sharded parameters into a copy of the model in the first process.

    The copy costs nothing until it is gathered: its parameters have shapes only.

    Args:
        model: The model before it is wrapped.
        accelerator: The one that wraps it.
    """

    def __init__(self, model: nn.Module, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        if getattr(model, "quantization_method", None) is not None:
            raise TrainingError(
                "a quantised model cannot be trained with parameters shared out over processes",
                received=f"{accelerator.distributed_type.value} and a base in {model.quantization_method}",
                remedy="launch with recipes/accelerate/ddp.yaml or zero2.yaml, or load the base unquantised",
            )
        self.outline = _without_values(model)

    @contextmanager
    def gathered(self, wrapped: nn.Module) -> Iterator[Any]:
        """The whole model in the first process, None in the others; all must enter together.

        Args:
            wrapped: The model as accelerate wrapped it.
        """
        state = self.accelerator.get_state_dict(wrapped)
        if not self.accelerator.is_main_process:
            yield None
            return
        whole = _without_values(self.outline)
        _fill(whole, state)
        yield whole.to(self.accelerator.device)


def _without_values(model: nn.Module) -> Any:
    """A deep copy with parameters on the meta device; shared parameters stay shared, buffers are real."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach().to("meta"), requires_grad=p.requires_grad) for p in model.parameters()
    }
    outline = copy.deepcopy(model, memo)
    for module in outline.modules():
        module.__dict__.pop("forward", None)  # trl's, which calls the original's
    return outline


def _fill(model: nn.Module, state: dict[str, Tensor]) -> None:
    made: dict[int, nn.Parameter] = {}
    for prefix, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                value = state[f"{prefix}.{name}" if prefix else name]
                filled = made.setdefault(id(parameter), nn.Parameter(value, parameter.requires_grad))
                module._parameters[name] = filled
