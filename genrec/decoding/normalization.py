"""The three normalisers of a Semantic-ID token's log-probability, shared by the training loss and the search.

Does not know where logits come from, nor which search asks.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Normalization = Literal["allowed", "level", "full"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)


def candidate_log_probs(
    logits: Tensor, candidates: Tensor, valid: Tensor, level_ids: Tensor, normalize: Normalization
) -> Tensor:
    """Log-probabilities of candidate tokens under one of three normalisers.

    Args:
        logits: float `[..., vocabulary]`.
        candidates: int64 `[..., c]`, token ids of the trie's children of the prefix, padded.
        valid: bool `[..., c]`, False where padded.
        level_ids: int64 `[size]`, token ids of all codes of the position.
        normalize: `full` = softmax over the whole vocabulary (as GENRE, LC-Rec and transformers' generate
            score); `level` = over the position's tokens; `allowed` = over the children of the prefix only.

    Returns:
        float32 `[..., c]`, minus infinity where not valid.
    """
    logits = logits.float()
    chosen = logits.gather(-1, candidates).masked_fill(~valid, float("-inf"))  # [..., c]
    if normalize == "full":
        normalizer = logits.logsumexp(-1, keepdim=True)
    elif normalize == "level":
        normalizer = logits.index_select(-1, level_ids).logsumexp(-1, keepdim=True)
    else:
        # a dead prefix has no child: its row stays minus infinity instead of turning into nan
        normalizer = chosen.logsumexp(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).min)
    return chosen - normalizer
