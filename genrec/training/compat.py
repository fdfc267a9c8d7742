"""Faults of the libraries that training meets, each mended on the one model at hand, never in the library.

Does not know tasks or trainers. Every fault has a test that fails on the day the library mends it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft import PeftModel
from peft.utils import TrainableTokensWrapper
from torch import Tensor, nn


@contextmanager
def old_names_unsaid() -> Iterator[None]:
    """Keeps peft's use of an attribute that transformers has renamed from the user's screen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def mend_head(model: PeftModel) -> None:
    """Gives a head with trained rows its bias back, as attribute and in its forward.

    peft's wrapper has no `bias` (trl's fused head reads it and raises an AttributeError), and where the head
    has a bias, as Phi's, the wrapper leaves it out of the logits. The second cure is a hook, set only where
    the fault shows on a state of zeros.
    """
    head: Any = cast(Any, model.get_base_model()).get_output_embeddings()
    if not isinstance(head, TrainableTokensWrapper):
        return
    layer = head.token_adapter
    base: Any = layer.get_base_layer()
    vars(head)["bias"] = base.bias  # not registered: the parameter stays under its own name
    if base.bias is None:
        return
    with torch.no_grad():
        nothing = torch.zeros(1, base.in_features, dtype=base.weight.dtype, device=base.weight.device)
        dropped = not bool(head(nothing).any()) and bool(base.bias.any())
    if dropped:
        head.register_forward_hook(_add_bias)


def _add_bias(head: Any, inputs: Any, output: Tensor) -> Tensor:
    layer = head.token_adapter
    if layer.disable_adapters or layer.merged or not layer.active_adapters:
        return output  # the base layer answered, with its bias
    bias: Tensor = layer.get_base_layer().bias
    return output + bias.to(output.dtype)


def plain_forward(model: nn.Module) -> Any:
    """The same model with its class's own forward.

    trl's trainers put a forward of their own on a model. In a copy of such a model that forward still runs
    the model it was copied from, with that one's weights.
    """
    vars(model).pop("forward", None)
    return model


@contextmanager
def trained_weights_kept(model: nn.Module) -> Iterator[None]:
    """Within the block trl may cast trained weights to bfloat16, as it does on quantised bases; undone after.

    Steps smaller than bfloat16 can hold would be lost on them, and a resumed run would start from rounded
    ones.
    """
    kept = {parameter: parameter.data for parameter in model.parameters() if parameter.requires_grad}
    yield
    for parameter, data in kept.items():
        if parameter.dtype != data.dtype:
            parameter.data = data.to(parameter.device)
