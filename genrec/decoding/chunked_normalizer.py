"""The normaliser of a softmax over a large vocabulary, a slice of the vocabulary at a time.

Does not know models or tokens' meaning: states and a linear head in, log-sum-exps out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from genrec.decoding.chunked_cross_entropy import LinearHead

CACHED_ELEMENTS = 1 << 18  # logits alive at a time on a CPU, so that they stay in its cache
DEVICE_ELEMENTS = 1 << 25  # the same on an accelerator
SLICE = 512  # tokens of a slice of the weight that lies in one piece


@torch.no_grad()
def log_normalizer(head: LinearHead, states: Tensor, slices: Tensor | None = None) -> Tensor:
    """Log-sum-exp of the logits of all tokens, float32 `[n]`.

    Args:
        head: Weight, bias, rows, scales.
        states: `[n, width]`, in the weight's dtype.
        slices: The weight but its last rows as `weight_slices` makes them: products with few rows run faster.
    """
    scaled = states * head.state_scale if head.state_scale != 1.0 else states
    elements = CACHED_ELEMENTS if states.device.type == "cpu" else DEVICE_ELEMENTS
    size = max(1024, elements // max(len(states), 1))
    replaced = None  # tokens whose rows of the weight do not count
    parts = []
    if head.rows is not None and head.row_ids is not None:
        replaced = torch.zeros(len(head.weight), dtype=torch.bool, device=states.device)
        replaced[head.row_ids] = True
        bias = None if head.bias is None else head.bias[head.row_ids]
        own = head.finish(functional.linear(scaled, head.rows.to(scaled.dtype), bias))  # [n, m]
        parts.append(own.float().logsumexp(-1))
    done, step = 0, max(1, size // SLICE)
    for several in () if slices is None else slices.split(step):
        here = slice(done, done + len(several) * SLICE)
        logits = scaled @ several  # [slices, n, SLICE]
        if head.bias is not None:
            logits += head.bias[here].view(-1, 1, SLICE)
        logits = head.finish(logits).float()
        if replaced is not None:
            logits = logits.masked_fill_(replaced[here].view(-1, 1, SLICE), float("-inf"))
        parts.append(_log_sum_exp(logits, (0, 2)))
        done = here.stop
    for start in range(done, len(head.weight), size):
        here = slice(start, start + size)
        bias = None if head.bias is None else head.bias[here]
        logits = head.finish(functional.linear(scaled, head.weight[here], bias)).float()  # [n, size]
        if replaced is not None:
            logits = logits.masked_fill_(replaced[here], float("-inf"))
        parts.append(_log_sum_exp(logits, (1,)))
    return torch.stack(parts).logsumexp(0)  # [parts, n] -> [n]


def weight_slices(weight: Tensor) -> Tensor | None:
    """A copy of a head's weight `[vocabulary, width]` as `[slices, width, SLICE]`, each slice in one piece.

    The rows behind the last whole slice are left out; None where there is no whole slice.
    """
    number, width = len(weight) // SLICE, weight.shape[1]
    if not number:
        return None
    return weight.detach()[: number * SLICE].view(number, SLICE, width).transpose(1, 2).contiguous()


def _log_sum_exp(logits: Tensor, over: tuple[int, ...]) -> Tensor:
    """Over some dimensions, float32 `[n]`; the logits' memory is used up."""
    if logits.device.type != "cpu":
        return logits.logsumexp(over)
    highest = logits.amax(over, keepdim=True).clamp_(min=torch.finfo(logits.dtype).min)
    return logits.sub_(highest).exp_().sum(over).log_().add_(highest.flatten())
