"""T5's kind of encoder-decoder: rows packed in one decoder sequence a prompt, cross-attention never copied.

Does not know tries, codes or scores. T5 reads relative positions off the cache's slots, so its decoder layers
are run one by one, with the bias of places in the answer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genrec.decoding.encoder_decoder_beams import start_tokens
from genrec.decoding.fused_weights import SlicedHead
from genrec.decoding.head_input import HeadInput
from genrec.decoding.output_head import Head, OutputHead
from genrec.decoding.padding import right_padded
from genrec.decoding.row_tree import RowTree
from genrec.decoding.slot_cache import SlotLayer
from genrec.decoding.t5_layers import FusedT5, T5Layers, T5Modules, fuses_t5

SHARED_BIAS_TYPES = frozenset({"t5", "mt5"})  # the first block's position bias serves all blocks
PLACES = 8  # biases made at once, one for each distance between places in an answer


class PackedT5Backend:
    """Searches with T5 and mT5.

    Args:
        model: The model.
        fused: Run its layers as plain numbers; for models for which `fuses_t5` holds.
    """

    def __init__(self, model: Any, *, fused: bool = False) -> None:
        self.forward = HeadInput(model)
        self.layers: T5Layers = FusedT5(model) if fused else T5Modules(model)
        self.sliced = SlicedHead() if fused else None

    def head(self) -> Head:
        """See `SearchBackend.head`."""
        head = self.forward.head()
        if self.sliced is None or not isinstance(head, OutputHead):
            return head
        return OutputHead(head.head, self.sliced.of(head.head.weight))

    @torch.no_grad()
    def start(self, input_ids: Tensor, real: Tensor, capacity: int = 0) -> tuple[PackedT5Steps, Tensor]:
        """Encodes the prompts and decodes the start token; see `SearchBackend.start`."""
        layers = self.layers
        if isinstance(layers, FusedT5) and layers.changed() and not fuses_t5(layers.model):
            self.layers = T5Modules(layers.model)  # it was given adapters
        ids, real = right_padded(input_ids, real)
        encoded = self.layers.encoded(ids, real)  # [batch, prompt, width]
        steps = PackedT5Steps(self.forward.body, self.layers, encoded, real, capacity)
        return steps, steps.begin(start_tokens(self.forward.model, ids))


class PackedT5Steps:
    """A search behind its prompts; see `StepModel`.

    Args:
        decoder: The model's decoder, for its position bias.
        layers: Its layers.
        encoded: float `[batch, prompt, width]`.
        real: bool `[batch, prompt]`, padded on the right.
        capacity: Rows for which room is made at once.
    """

    def __init__(self, decoder: Any, layers: T5Layers, encoded: Tensor, real: Tensor, capacity: int) -> None:
        self.decoder = decoder
        self.layers = layers
        self.real = real[:, None, None, :]  # [batch, 1, 1, prompt]
        self.slots = [SlotLayer(capacity) for _ in decoder.block]
        self.tree = RowTree(real.new_ones(len(real), dtype=torch.long), 1, capacity)
        self.depth = 1
        self.by_distance = self._by_distance(PLACES)
        self.crossed = layers.crossed(encoded)

    def begin(self, tokens: Tensor) -> Tensor:
        """States `[batch, 1, width]` after the start tokens `[batch, 1]`, which are row 0."""
        place = self.tree.position[:, :1]
        return self._decode(tokens, self._bias(place, place))

    @torch.no_grad()
    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """Adds rows; see `StepModel.step`."""
        own = self.tree.add(parent)  # [batch, new]
        self.depth += 1  # no place in an answer lies further than the steps so far
        if self.depth > self.by_distance.shape[1]:
            self.by_distance = self._by_distance(2 * self.depth)
        bias = self._bias(own, self.tree.position[:, : self.tree.count])
        blocked = ~self.tree.mask()  # [batch, 1, new, slots]
        return self._decode(tokens, bias.masked_fill(blocked, torch.finfo(bias.dtype).min))

    def keep(self, prompts: Tensor) -> None:
        """Goes on with some prompts only; see `StepModel.keep`."""
        self.tree.keep(prompts)
        self.real = self.real[prompts]
        self.crossed = [(keys[prompts], values[prompts]) for keys, values in self.crossed]
        for layer in self.slots:
            layer.keep(prompts)

    def truncate(self, rows: int) -> None:
        """Forgets rows; see `StepModel.truncate`."""
        self.tree.truncate(rows)
        for layer in self.slots:
            layer.truncate(rows)

    def _by_distance(self, places: int) -> Tensor:
        """Position bias of each distance back, `[heads, places]`."""
        attention = self.decoder.block[0].layer[0].SelfAttention
        bias: Tensor = attention.compute_bias(places, places)[0, :, -1].flip(-1)
        return bias

    def _bias(self, own: Tensor, places: Tensor) -> Tensor:
        """Position bias of rows at places `own [batch, new]` to slots at `places [batch, slots]`.

        `[batch, heads, new, slots]`; of slots that lie ahead it is of no account, as they are masked.
        """
        distance = (own.unsqueeze(-1) - places.unsqueeze(1)).clamp(min=0)  # [batch, new, slots]
        return self.by_distance[:, distance].transpose(0, 1)  # [batch, heads, new, slots]

    def _decode(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """States `[batch, new, width]` of the head."""
        return self.layers.decoded(tokens, bias, self.slots, self.crossed, self.real)
