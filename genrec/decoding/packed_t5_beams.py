"""T5's kind of encoder-decoder: beams packed in one decoder sequence a prompt, cross-attention never copied.

Does not know tries, codes or scores. T5 reads relative positions off the cache's slots, which is wrong for
packed beams; since mask and position bias are added to the same scores, the mask carries the difference
between the bias of a token's true place and that of its slot.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from genrec.decoding.encoder_decoder_beams import encode, start_tokens
from genrec.decoding.packed_beams import seen_by_children
from genrec.decoding.padding import right_padded

SHARED_BIAS_TYPES = frozenset({"t5", "mt5"})  # the first block's position bias serves all blocks


class PackedT5:
    """A `StepModel` over T5 and mT5.

    Args:
        model: The model, in evaluation mode.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.attention = model.get_decoder().block[0].layer[0].SelfAttention
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def start(self, input_ids: Tensor, real: Tensor) -> Tensor:
        """Encodes the prompts and decodes the start token; see `StepModel.start`."""
        ids, self.real = right_padded(input_ids, real)
        self.encoded = encode(self.model, ids, self.real)  # [batch, prompt, width]
        self.place = torch.zeros(1, dtype=torch.long, device=ids.device)  # [slots]: place in its answer
        self.seen = torch.ones(len(ids), 1, 1, dtype=torch.bool, device=ids.device)  # [batch, beams, slots]
        return self._decode(start_tokens(self.model, ids), None)

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """One token more on every beam; see `StepModel.step`."""
        beams, here = tokens.shape[1], int(self.place[-1]) + 1
        self.place = torch.cat([self.place, self.place.new_full((beams,), here)])
        self.seen = seen_by_children(self.seen, parent)
        slots = len(self.place)
        true = self.attention.compute_bias(here + 1, here + 1)[:, :, -1:]  # [1, heads, 1, places]
        added = self.attention.compute_bias(beams, slots, past_seen_tokens=slots - beams)
        mask = true[..., self.place] - added  # [1, heads, beams, slots]
        blocked = ~self.seen.unsqueeze(1)  # [batch, 1, beams, slots]
        return self._decode(tokens, torch.where(blocked, torch.finfo(mask.dtype).min, mask))

    def _decode(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        logits: Tensor = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self.encoded),
            attention_mask=self.real.long(),
            decoder_input_ids=tokens,
            decoder_attention_mask=mask,
            past_key_values=self.cache,
            use_cache=True,
        ).logits
        return logits  # [batch, beams, vocabulary]
