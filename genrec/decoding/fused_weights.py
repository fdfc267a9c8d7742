"""The layers of Qwen2, Qwen3 and Llama shaped models as plain numbers, laid out for products with few rows.

Does not know searches or caches. On a CPU the matrices of a layer are copied once, side by side and
transposed: a product with a few dozen rows, which is what a step of beams is, then runs faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from genrec.decoding.chunked_normalizer import weight_slices
from genrec.decoding.prefill import version

FUSED_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
MAX_COPIED_BYTES = 2 << 30  # beyond, and off the CPU, the model's own matrices are used


class Linears:
    """Linear layers over one input.

    Args:
        modules: The layers.
        copied: Hold their matrices side by side, transposed.
    """

    def __init__(self, modules: Sequence[nn.Linear], *, copied: bool) -> None:
        self.modules = modules
        self.sizes = [module.out_features for module in modules]
        self.weight: Tensor | None = None  # [in, all out]
        if copied:
            self.weight = torch.cat([module.weight.detach() for module in modules]).T.contiguous()
            biases = [module.bias for module in modules if module.bias is not None]
            self.bias = torch.cat([bias.detach() for bias in biases]) if biases else None

    def __call__(self, states: Tensor, first: int = 0, end: int | None = None) -> list[Tensor]:
        """Outputs `[..., out]` of the layers `first` to `end` for `states [..., in]`."""
        end = len(self.sizes) if end is None else end
        if self.weight is None:
            return [functional.linear(states, m.weight, m.bias) for m in self.modules[first:end]]
        columns = slice(sum(self.sizes[:first]), sum(self.sizes[:end]))
        out = states @ self.weight[:, columns]
        if self.bias is not None:
            out += self.bias[columns]
        return list(out.split(self.sizes[first:end], dim=-1))


@dataclass(frozen=True)
class FusedLayer:
    """One decoder layer."""

    input_norm: Tensor
    projections: Linears
    query_norm: Tensor | None
    key_norm: Tensor | None
    output: Linears
    inner_norm: Tensor
    gate_and_up: Linears
    down: Linears


@dataclass(frozen=True)
class FusedWeights:
    """A whole decoder.

    Attributes:
        layers: From the first to the last.
        norm: Of the last states.
        eps: Of all norms.
        heads: Query heads.
        key_heads: Key and value heads.
        head_width: Width of each.
        state: What the parameters were when they were copied, see `state_of`.
    """

    layers: tuple[FusedLayer, ...]
    norm: Tensor
    eps: float
    heads: int
    key_heads: int
    head_width: int
    state: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, body: Any) -> FusedWeights:
        """Reads the numbers of a model's decoder."""
        size = sum(p.numel() * p.element_size() for layer in body.layers for p in layer.parameters())
        copied = body.norm.weight.device.type == "cpu" and size <= MAX_COPIED_BYTES
        config, layers = body.config, []
        for layer in body.layers:
            attention, mlp = layer.self_attn, layer.mlp
            qwen3 = config.model_type == "qwen3"
            layers.append(
                FusedLayer(
                    layer.input_layernorm.weight,
                    Linears((attention.q_proj, attention.k_proj, attention.v_proj), copied=copied),
                    attention.q_norm.weight if qwen3 else None,
                    attention.k_norm.weight if qwen3 else None,
                    Linears((attention.o_proj,), copied=copied),
                    layer.post_attention_layernorm.weight,
                    Linears((mlp.gate_proj, mlp.up_proj), copied=copied),
                    Linears((mlp.down_proj,), copied=copied),
                )
            )
        width = body.layers[0].self_attn.head_dim
        return cls(
            tuple(layers),
            body.norm.weight,
            config.rms_norm_eps,
            config.num_attention_heads,
            config.num_key_value_heads,
            width,
            state_of(body),
        )


class SlicedHead:
    """A copy of the head's weight in slices, on a CPU and within the limit of copies."""

    def __init__(self) -> None:
        self.kept: tuple[tuple[int, int], Tensor | None] | None = None

    def of(self, weight: Tensor) -> Tensor | None:
        """The copy, made anew when the weight was written to; None where there is to be none."""
        if weight.device.type != "cpu" or weight.numel() * weight.element_size() > MAX_COPIED_BYTES:
            return None
        kept, now = self.kept, version(weight)
        if kept is None or kept[0] != now:
            kept = self.kept = now, weight_slices(weight)
        return kept[1]


def fuses(model: Any) -> bool:
    """Whether a model is of a shape that is known here: plain linear layers, no window, the usual MLP."""
    config = model.config
    if config.model_type not in FUSED_TYPES or config.hidden_act not in ("silu", "swish"):
        return False
    if config.model_type == "mistral":
        windows = config.sliding_window is not None
    else:
        windows = "sliding_attention" in (getattr(config, "layer_types", None) or [])
    if windows:
        return False
    for layer in model.get_decoder().layers:
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
        for module in (*projections, mlp.gate_proj, mlp.up_proj, mlp.down_proj):
            if type(module) is not nn.Linear or not module.weight.is_floating_point():
                return False  # an adapter, or quantised
    return True


def state_of(body: Any) -> tuple[tuple[int, int], ...]:
    """Where a decoder's parameters lie and how often each was written to: equal = nothing has changed.

    Biases count, as they are copied like the matrices; so do norms, which may be replaced by others.
    """
    return tuple(version(p) for module in (*body.layers, body.norm) for p in module.parameters())
