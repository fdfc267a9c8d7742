"""Cross-entropy over a large vocabulary without ever holding the logits of all tokens.

Does not know models or tokens' meaning: states and a linear head in, a summed loss out. The gradient is
worked out chunk by chunk while the loss is, so that the head runs once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CHUNK_ELEMENTS = 1 << 24  # logits alive at a time: 64 MiB in float32
_VOCABULARY_SLICE = 1 << 14  # rows of the head whose gradient is added up at a time


@dataclass(frozen=True)
class LinearHead:
    """The numbers of a language model's head: cap(scale * (states * state_scale) @ weight.T + bias).

    Attributes:
        weight: `[vocabulary, width]`.
        bias: `[vocabulary]` or None.
        rows: `[m, width]`, rows that stand in for those of `weight`; None where there are none.
        row_ids: int64 `[m]`, sorted: which rows of `weight` they stand in for.
        state_scale: Factor on the states (T5 with tied weights).
        logit_scale: Factor on the logits (Cohere, Granite).
        softcap: Bound of the logits, cap(z) = softcap * tanh(z / softcap) (Gemma 2); None = no bound.
    """

    weight: Tensor
    bias: Tensor | None = None
    rows: Tensor | None = None
    row_ids: Tensor | None = None
    state_scale: float = 1.0
    logit_scale: float = 1.0
    softcap: float | None = None

    def linear(self, states: Tensor) -> Tensor:
        """Logits `[n, vocabulary]` of states `[n, width]` before scale and cap."""
        logits = functional.linear(states * self.state_scale, self.weight, self.bias)
        if self.rows is None or self.row_ids is None:
            return logits
        bias = None if self.bias is None else self.bias[self.row_ids]
        own = functional.linear(states * self.state_scale, self.rows.to(states.dtype), bias)  # [n, m]
        return logits.index_copy(1, self.row_ids, own.to(logits.dtype))

    def finish(self, logits: Tensor) -> Tensor:
        """Scale and cap."""
        if self.logit_scale != 1.0:
            logits = logits * self.logit_scale
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits


def chunked_cross_entropy(head: LinearHead, states: Tensor, targets: Tensor) -> Tensor:
    """Summed cross-entropy, float32, in nats; differentiable once in the states and the head's numbers.

    Args:
        head: Weight, bias, rows, scales.
        states: float `[n, width]`.
        targets: int64 `[n]`, token ids.
    """
    total: Tensor = _ChunkedCrossEntropy.apply(states, head.weight, head.bias, head.rows, targets, head)
    return total


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        rows: Tensor | None,
        targets: Tensor,
        head: LinearHead,
    ) -> Tensor:
        tensors = (states, weight, bias, rows)
        gradients = [
            torch.zeros_like(tensor, dtype=torch.float32) if tensor is not None and wanted else None
            for tensor, wanted in zip(tensors, ctx.needs_input_grad[:4], strict=True)
        ]
        total = states.new_zeros((), dtype=torch.float32)
        chunk = max(1, CHUNK_ELEMENTS // len(weight))
        for start in range(0, len(states), chunk):
            here = slice(start, start + chunk)
            logits = head.finish(head.linear(states[here]).float())  # [chunk, vocabulary]
            normalizer = logits.logsumexp(-1, keepdim=True)  # [chunk, 1]
            wanted = targets[here].unsqueeze(1)
            total += (normalizer - logits.gather(1, wanted)).sum()
            if any(gradient is not None for gradient in gradients):
                slope = _slope(head, logits, normalizer, wanted)
                _accumulate(head, gradients, states, here, slope)
        ctx.gradients = [
            None if gradient is None or tensor is None else gradient.to(tensor.dtype)
            for gradient, tensor in zip(gradients, tensors, strict=True)
        ]
        return total

    @staticmethod
    def backward(ctx: Any, grad_total: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("the gradient of this loss was used up: call backward once")
        # in place: a second matrix of the head's size would be the peak of a whole training step
        scaled = (None if g is None else g.mul_(grad_total.to(g.dtype)) for g in gradients)
        return (*scaled, None, None)


def _slope(head: LinearHead, logits: Tensor, normalizer: Tensor, targets: Tensor) -> Tensor:
    """Gradient of the loss in the logits before scale and cap, float32 `[chunk, vocabulary]`."""
    capped = None if head.softcap is None else 1 - (logits / head.softcap).square()
    slope = logits.sub_(normalizer).exp_()
    slope.scatter_add_(1, targets, torch.full_like(targets, -1, dtype=slope.dtype))
    if capped is not None:
        slope *= capped
    return slope.mul_(head.logit_scale) if head.logit_scale != 1.0 else slope


def _accumulate(
    head: LinearHead, gradients: list[Tensor | None], states: Tensor, here: slice, slope: Tensor
) -> None:
    """Adds a chunk's share to the gradients of states, weight, bias and rows."""
    to_states, to_weight, to_bias, to_rows = gradients
    scaled = states[here] * head.state_scale  # [chunk, width]
    if to_bias is not None:
        to_bias += slope.sum(0)
    slope = slope.to(scaled.dtype)
    if head.rows is not None and head.row_ids is not None:
        own = slope[:, head.row_ids]  # [chunk, m]
        slope[:, head.row_ids] = 0
        if to_rows is not None:
            to_rows += own.T @ scaled
        if to_states is not None:
            to_states[here] += (own @ head.rows.to(own.dtype)) * head.state_scale
    if to_states is not None:
        to_states[here] += (slope @ head.weight.to(slope.dtype)) * head.state_scale
    if to_weight is not None:
        for start in range(0, len(to_weight), _VOCABULARY_SLICE):
            part = slice(start, start + _VOCABULARY_SLICE)
            to_weight[part] += slope[:, part].T @ scaled
