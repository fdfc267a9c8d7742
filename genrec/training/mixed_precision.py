"""What mixed precision makes a LoRA step do in vain, left out: same numbers, less memory and fewer kernels.

Does not know losses or batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn


class AdapterCasts:
    """Leaves the casts around adapters to autocast.

    peft casts the input of every adapter to the adapter's float32 before autocast casts it back to the
    narrow type, and autograd keeps a narrow copy for each adapter. Without the first cast all adapters
    that read one input keep that input itself; the values are the same, as float32 holds every one of them.

    Args:
        model: The model whose adapters are meant.
    """

    def __init__(self, model: nn.Module) -> None:
        self.layers = [module for module in model.modules() if isinstance(module, LoraLayer)]

    @contextmanager
    def left_to_autocast(self, active: bool) -> Iterator[None]:
        """Within the block peft casts nothing; forward and backward (which may recompute) both belong in it.

        Args:
            active: Whether the model's forward runs under autocast; without it the casts are needed.
        """
        layers = self.layers if active else []
        kept = [layer.cast_input_dtype_enabled for layer in layers]
        try:
            for layer in layers:
                layer.cast_input_dtype_enabled = False
            yield
        finally:
            for layer, enabled in zip(layers, kept, strict=True):
                layer.cast_input_dtype_enabled = enabled


@contextmanager
def last_states(model: Any) -> Iterator[list[Tensor]]:
    """Catches what the backbone hands to the head, `[batch, tokens, width]`, in every forward of the block.

    Asked for hidden states, a model returns those of all its layers, and accelerate makes a float32 copy of
    each of them under mixed precision.

    Args:
        model: A causal language model of transformers, or one wrapped by peft; not by DDP and its like.
    """
    caught: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        caught.append(output.last_hidden_state)

    whole = model.get_base_model() if isinstance(model, PeftModel) else model
    handle = cast(nn.Module, whole.base_model).register_forward_hook(keep)
    try:
        yield caught
    finally:
        handle.remove()
