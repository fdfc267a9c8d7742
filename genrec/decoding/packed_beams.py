"""Decoder-only models: all beams of a prompt stand in one sequence behind it, told apart by the mask.

Does not know tries, codes or scores. The prompt's keys and values are computed once and never copied;
re-ordering beams changes the mask, never the cache.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from genrec.decoding.padding import left_padded


class PackedDecoder:
    """A `StepModel` over any decoder-only model that takes a 4D attention mask and position ids.

    Args:
        model: The model, in evaluation mode.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.cache = DynamicCache(config=model.config)

    def start(self, input_ids: Tensor, real: Tensor) -> Tensor:
        """Prefills the prompts; see `StepModel.start`."""
        ids, real = left_padded(input_ids, real)
        self.next_position = real.sum(dim=1, keepdim=True)  # [batch, 1]
        self.seen = real[:, None, :]  # [batch, beams, slots]: slots of the cache a beam attends to
        logits: Tensor = self.model(
            input_ids=ids,
            attention_mask=real.long(),
            position_ids=(real.long().cumsum(1) - 1).clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        self.dtype = logits.dtype
        return logits[:, -1:]  # [batch, 1 beam, vocabulary]

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """One token more on every beam; see `StepModel.step`."""
        self.seen = seen_by_children(self.seen, parent)
        logits: Tensor = self.model(
            input_ids=tokens,
            attention_mask=additive(self.seen, self.dtype).unsqueeze(1),  # [batch, 1, beams, slots]
            position_ids=self.next_position.expand_as(tokens),
            past_key_values=self.cache,
            use_cache=True,
        ).logits
        self.next_position = self.next_position + 1
        return logits


def seen_by_children(seen: Tensor, parent: Tensor) -> Tensor:
    """What new beams attend to: what their parents did, and themselves.

    Args:
        seen: bool `[batch, old beams, slots]`.
        parent: int64 `[batch, beams]`.

    Returns:
        bool `[batch, beams, slots + beams]`.
    """
    batch, beams = parent.shape
    own = torch.eye(beams, dtype=torch.bool, device=seen.device).expand(batch, -1, -1)
    inherited = seen.gather(1, parent.unsqueeze(-1).expand(-1, -1, seen.shape[-1]))  # [batch, beams, slots]
    return torch.cat([inherited, own], dim=-1)


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """Boolean mask to the additive one of the same shape."""
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill(~seen, torch.finfo(dtype).min)
