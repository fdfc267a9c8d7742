"""T5's kind of encoder-decoder: rows packed in one decoder sequence a prompt, cross-attention never copied.

Does not know tries, codes or scores. T5 reads relative positions off the cache's slots, so its decoder layers
are run here one by one, with the bias of places in the answer; their weights, norms and adapters are the
model's own modules.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from genrec.decoding.encoder_decoder_beams import encode, start_tokens
from genrec.decoding.head_input import HeadInput
from genrec.decoding.output_head import Head
from genrec.decoding.padding import right_padded
from genrec.decoding.row_tree import RowTree
from genrec.decoding.slot_cache import SlotLayer

SHARED_BIAS_TYPES = frozenset({"t5", "mt5"})  # the first block's position bias serves all blocks


class PackedT5Backend:
    """Searches with T5 and mT5.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self.forward = HeadInput(model)

    def head(self) -> Head:
        """See `SearchBackend.head`."""
        return self.forward.head()

    def start(self, input_ids: Tensor, real: Tensor, capacity: int = 0) -> tuple[PackedT5Steps, Tensor]:
        """Encodes the prompts and decodes the start token; see `SearchBackend.start`."""
        ids, real = right_padded(input_ids, real)
        encoded = encode(self.forward.model, ids, real)  # [batch, prompt, width]
        steps = PackedT5Steps(self.forward, encoded, real, capacity)
        return steps, steps.begin(start_tokens(self.forward.model, ids))


class PackedT5Steps:
    """A search behind its prompts; see `StepModel`.

    Args:
        forward: The model up to its head.
        encoded: float `[batch, prompt, width]`.
        real: bool `[batch, prompt]`, padded on the right.
        capacity: Rows for which room is made at once.
    """

    def __init__(self, forward: HeadInput, encoded: Tensor, real: Tensor, capacity: int) -> None:
        self.decoder = forward.body
        self.heads: int = forward.model.config.num_heads
        self.real = real[:, None, None, :]  # [batch, 1, 1, prompt]
        self.layers = [SlotLayer(capacity) for _ in self.decoder.block]
        self.tree = RowTree(real.new_ones(len(real), dtype=torch.long), 1, capacity)
        self.depth = 1
        self.crossed = []  # cross-attention's keys and values of each block, [batch, heads, prompt, d]
        for block in self.decoder.block:
            attention = block.layer[1].EncDecAttention
            self.crossed.append((self._split(attention.k(encoded)), self._split(attention.v(encoded))))

    def begin(self, tokens: Tensor) -> Tensor:
        """States `[batch, 1, width]` after the start tokens `[batch, 1]`, which are row 0."""
        place = self.tree.position[:, :1]
        return self._decode(tokens, self._bias(place, place, 1))

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """Adds rows; see `StepModel.step`."""
        own = self.tree.add(parent)  # [batch, new]
        self.depth += 1  # no place in an answer lies further than the steps so far
        bias = self._bias(own, self.tree.position[:, : self.tree.count], self.depth)
        blocked = ~self.tree.mask()  # [batch, 1, new, slots]
        return self._decode(tokens, bias.masked_fill(blocked, torch.finfo(bias.dtype).min))

    def keep(self, prompts: Tensor) -> None:
        """Goes on with some prompts only; see `StepModel.keep`."""
        self.tree.keep(prompts)
        self.real = self.real[prompts]
        self.crossed = [(keys[prompts], values[prompts]) for keys, values in self.crossed]
        for layer in self.layers:
            layer.keep(prompts)

    def truncate(self, rows: int) -> None:
        """Forgets rows; see `StepModel.truncate`."""
        self.tree.truncate(rows)
        for layer in self.layers:
            layer.truncate(rows)

    def _bias(self, own: Tensor, places: Tensor, depth: int) -> Tensor:
        """Position bias of rows at places `own [batch, new]` to slots at `places [batch, slots]`.

        `[batch, heads, new, slots]`; of slots that lie ahead it is of no account, as they are masked.
        """
        attention = self.decoder.block[0].layer[0].SelfAttention
        by_distance = attention.compute_bias(depth, depth)[0, :, -1].flip(-1)  # [heads, distance]
        distance = (own.unsqueeze(-1) - places.unsqueeze(1)).clamp(min=0)  # [batch, new, slots]
        bias: Tensor = by_distance[:, distance].transpose(0, 1)  # [batch, heads, new, slots]
        return bias

    def _decode(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """States `[batch, new, width]` of the head."""
        hidden = self.decoder.embed_tokens(tokens)
        for block, layer, (keys, values) in zip(self.decoder.block, self.layers, self.crossed, strict=True):
            normed = block.layer[0].layer_norm(hidden)
            attention = block.layer[0].SelfAttention
            kept = layer.update(self._split(attention.k(normed)), self._split(attention.v(normed)))
            hidden = hidden + self._attend(attention, normed, *kept, bias)
            normed = block.layer[1].layer_norm(hidden)
            hidden = hidden + self._attend(block.layer[1].EncDecAttention, normed, keys, values, self.real)
            hidden = block.layer[2](hidden)
        states: Tensor = self.decoder.final_layer_norm(hidden)
        return states

    def _attend(self, attention: Any, normed: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        query = self._split(attention.q(normed))
        found = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=1.0)
        projected: Tensor = attention.o(found.transpose(1, 2).flatten(2))  # [batch, new, width]
        return projected

    def _split(self, projected: Tensor) -> Tensor:
        """`[batch, tokens, heads * d]` -> `[batch, heads, tokens, d]`."""
        split: Tensor = projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return split
