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


@torch.no_grad()
def log_normalizer(head: LinearHead, states: Tensor, transposed: Tensor | None = None) -> Tensor:
    """Log-sum-exp of the logits of all tokens, float32 `[n]`.

    Args:
        head: Weight, bias, rows, scales.
        states: `[n, width]`, in the weight's dtype.
        transposed: The weight as `[width, vocabulary]`, contiguous: products with few rows run faster on it.
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
    for start in range(0, len(head.weight), size):
        here = slice(start, start + size)
        bias = None if head.bias is None else head.bias[here]
        if transposed is None:
            logits = functional.linear(scaled, head.weight[here], bias)  # [n, size]
        else:
            logits = scaled @ transposed[:, here]
            logits = logits if bias is None else logits.add_(bias)
        logits = head.finish(logits).float()
        if replaced is not None:
            logits = logits.masked_fill_(replaced[here], float("-inf"))
        parts.append(_log_sum_exp(logits))
    return torch.stack(parts).logsumexp(0)  # [parts, n] -> [n]


def _log_sum_exp(logits: Tensor) -> Tensor:
    """Over the last dimension; the logits' memory is used up."""
    if logits.device.type != "cpu":
        return logits.logsumexp(-1)
    highest = logits.amax(-1, keepdim=True).clamp_(min=torch.finfo(logits.dtype).min)
    return logits.sub_(highest).exp_().sum(-1).log_().add_(highest.squeeze(-1))
