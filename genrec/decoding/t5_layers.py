"""T5's layers for packed rows: through the model's own modules, or as plain numbers laid out for few rows.

Does not know searches: tokens, biases and slots in, states out. Both give the same states; the plain numbers
need no module calls, hold the projections of one input side by side, and compute the keys and values that
all layers read from the encoder in one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from genrec.decoding.encoder_decoder_beams import encode
from genrec.decoding.fused_weights import MAX_COPIED_BYTES, Linears
from genrec.decoding.prefill import version
from genrec.decoding.slot_cache import SlotLayer

Pairs = list[tuple[Tensor, Tensor]]  # keys and values of each layer, float [batch, heads, tokens, d]


class T5Layers(Protocol):
    """Encoder and decoder layers of a T5 or mT5."""

    def encoded(self, ids: Tensor, real: Tensor) -> Tensor:
        """Encoder's states `[batch, prompt, width]` of right-padded prompts `[batch, prompt]`."""
        ...

    def crossed(self, encoded: Tensor) -> Pairs:
        """Keys and values that the decoder's layers read from the encoder."""
        ...

    def decoded(
        self, tokens: Tensor, bias: Tensor, slots: Sequence[SlotLayer], crossed: Pairs, real: Tensor
    ) -> Tensor:
        """Decoder's states `[batch, new, width]`, the head's input.

        Args:
            tokens: int64 `[batch, new]`; their keys and values take the next slots.
            bias: float `[batch, heads, new, slots]`, added to the attention among rows.
            slots: Of each layer.
            crossed: Of each layer.
            real: bool `[batch, 1, 1, prompt]`.
        """
        ...


class T5Modules:
    """The model's own modules, one by one: right with adapters and for every precision.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.decoder = model.get_decoder()
        self.heads: int = model.config.num_heads

    def encoded(self, ids: Tensor, real: Tensor) -> Tensor:
        """See `T5Layers.encoded`."""
        return encode(self.model, ids, real)

    def crossed(self, encoded: Tensor) -> Pairs:
        """See `T5Layers.crossed`."""
        found = []
        for block in self.decoder.block:
            attention = block.layer[1].EncDecAttention
            found.append((_split(attention.k(encoded), self.heads), _split(attention.v(encoded), self.heads)))
        return found

    def decoded(
        self, tokens: Tensor, bias: Tensor, slots: Sequence[SlotLayer], crossed: Pairs, real: Tensor
    ) -> Tensor:
        """See `T5Layers.decoded`."""
        hidden = self.decoder.embed_tokens(tokens)
        for block, layer, (keys, values) in zip(self.decoder.block, slots, crossed, strict=True):
            normed = block.layer[0].layer_norm(hidden)
            attention = block.layer[0].SelfAttention
            kept = layer.update(
                _split(attention.k(normed), self.heads), _split(attention.v(normed), self.heads)
            )
            hidden = hidden + self._attend(attention, normed, *kept, bias)
            normed = block.layer[1].layer_norm(hidden)
            hidden = hidden + self._attend(block.layer[1].EncDecAttention, normed, keys, values, real)
            hidden = block.layer[2](hidden)
        states: Tensor = self.decoder.final_layer_norm(hidden)
        return states

    def _attend(self, attention: Any, normed: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        query = _split(attention.q(normed), self.heads)
        found = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=1.0)
        projected: Tensor = attention.o(found.transpose(1, 2).flatten(2))  # [batch, new, width]
        return projected


@dataclass(frozen=True)
class FusedT5Block:
    """One layer; the encoder's have no cross-attention."""

    norm: Tensor
    projections: Linears
    output: Linears
    cross_norm: Tensor | None
    cross_query: Linears | None
    cross_output: Linears | None
    inner_norm: Tensor
    inner: Linears
    down: Linears
    act: Any

    @classmethod
    def of(cls, block: Any, decoder: bool) -> FusedT5Block:
        """Reads a block's numbers."""
        own, inner = block.layer[0].SelfAttention, block.layer[-1].DenseReluDense
        cross = block.layer[1].EncDecAttention if decoder else None
        return cls(
            block.layer[0].layer_norm.weight,
            Linears((own.q, own.k, own.v), copied=True),
            Linears((own.o,), copied=True),
            None if cross is None else block.layer[1].layer_norm.weight,
            None if cross is None else Linears((cross.q,), copied=True),
            None if cross is None else Linears((cross.o,), copied=True),
            block.layer[-1].layer_norm.weight,
            Linears(_inner(inner), copied=True),
            Linears((inner.wo,), copied=True),
            inner.act,
        )

    def fed(self, hidden: Tensor, eps: float) -> Tensor:
        """Behind the feed-forward layer."""
        into = self.inner(_normed(hidden, self.inner_norm, eps))
        active = self.act(into[0])
        return hidden + self.down(active if len(into) == 1 else active * into[1])[0]


class FusedT5:
    """The numbers of a model for which `fuses_t5` holds, copied; made anew when the model's were written to.

    Args:
        model: The model, on a CPU, in float32.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.heads: int = model.config.num_heads
        self.eps: float = model.config.layer_norm_epsilon
        self._read()

    def _read(self) -> None:
        self.state = self._state()
        encoder, decoder = self.model.get_encoder(), self.model.get_decoder()
        self.encoder = [FusedT5Block.of(block, False) for block in encoder.block]
        self.decoder = [FusedT5Block.of(block, True) for block in decoder.block]
        across = [block.layer[1].EncDecAttention for block in decoder.block]
        self.across = Linears([m for a in across for m in (a.k, a.v)], copied=True)

    def changed(self) -> bool:
        """Whether the model was trained since, or given other layers."""
        return self.state != self._state()

    def _state(self) -> tuple[tuple[int, int], ...]:
        return tuple(version(parameter) for parameter in self.model.parameters())

    def encoded(self, ids: Tensor, real: Tensor) -> Tensor:
        """See `T5Layers.encoded`."""
        if self.changed():
            self._read()
        encoder, length = self.model.get_encoder(), ids.shape[1]
        hidden = encoder.embed_tokens(ids)
        mask = encoder.block[0].layer[0].SelfAttention.compute_bias(length, length)  # [1, heads, P, P]
        if not bool(real.all()):
            mask = mask.masked_fill(~real[:, None, None, :], torch.finfo(mask.dtype).min)
        for block in self.encoder:
            query, key, value = self._projected(block, hidden)
            hidden = hidden + self._attend(query, key, value, mask, block.output)
            hidden = block.fed(hidden, self.eps)
        return _normed(hidden, encoder.final_layer_norm.weight, self.eps)

    def crossed(self, encoded: Tensor) -> Pairs:
        """See `T5Layers.crossed`."""
        found = [_split(projected, self.heads) for projected in self.across(encoded)]
        return list(zip(found[::2], found[1::2], strict=True))

    def decoded(
        self, tokens: Tensor, bias: Tensor, slots: Sequence[SlotLayer], crossed: Pairs, real: Tensor
    ) -> Tensor:
        """See `T5Layers.decoded`."""
        decoder = self.model.get_decoder()
        hidden = decoder.embed_tokens(tokens)
        padded = None if bool(real.all()) else real
        for block, layer, (keys, values) in zip(self.decoder, slots, crossed, strict=True):
            assert block.cross_norm is not None
            assert block.cross_query is not None
            assert block.cross_output is not None
            query, key, value = self._projected(block, hidden)
            hidden = hidden + self._attend(query, *layer.update(key, value), bias, block.output)
            query = _split(block.cross_query(_normed(hidden, block.cross_norm, self.eps))[0], self.heads)
            hidden = hidden + self._attend(query, keys, values, padded, block.cross_output)
            hidden = block.fed(hidden, self.eps)
        return _normed(hidden, decoder.final_layer_norm.weight, self.eps)

    def _projected(self, block: FusedT5Block, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of the attention among rows."""
        query, key, value = block.projections(_normed(hidden, block.norm, self.eps))
        return _split(query, self.heads), _split(key, self.heads), _split(value, self.heads)

    def _attend(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, output: Linears
    ) -> Tensor:
        found = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=1.0)
        return output(found.transpose(1, 2).flatten(2))[0]  # [batch, tokens, width]


def fuses_t5(model: Any) -> bool:
    """Whether a model's layers may be copied: on a CPU, float32, plain linear layers throughout."""
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    if model.device.type != "cpu" or model.dtype != torch.float32 or size > MAX_COPIED_BYTES:
        return False
    linear: list[Any] = []
    for stack in (model.get_encoder(), model.get_decoder()):
        for block in stack.block:
            attentions = [block.layer[0].SelfAttention]
            attentions += [block.layer[1].EncDecAttention] if len(block.layer) == 3 else []
            linear += [m for a in attentions for m in (a.q, a.k, a.v, a.o)]
            inner = block.layer[-1].DenseReluDense
            linear += [*_inner(inner), inner.wo]
    return all(type(m) is nn.Linear and m.weight.dtype == torch.float32 for m in linear)


def _inner(inner: Any) -> tuple[Any, ...]:
    """What a feed-forward layer reads its input with; a gated one has two."""
    names = dict(inner.named_children())
    return (names["wi"],) if "wi" in names else (names["wi_0"], names["wi_1"])


def _normed(states: Tensor, weight: Tensor, eps: float) -> Tensor:
    return functional.rms_norm(states, weight.shape, weight, eps)


def _split(projected: Tensor, heads: int) -> Tensor:
    """`[batch, tokens, heads * d]` -> `[batch, heads, tokens, d]`."""
    split: Tensor = projected.unflatten(-1, (heads, -1)).transpose(1, 2)
    return split
