"""Packed beams for Qwen2, Qwen3 and Llama shaped models without the modules around the arithmetic.

Does not know tries, codes or scores. Rows, slots and masks are those of `packed_beams`; only the forward pass
is run here: matrices side by side, query heads that share a key head as rows of one product, and of the
prompt's last layer only what its last token needs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from genrec.decoding.fused_weights import FusedWeights, SlicedHead, fuses, state_of
from genrec.decoding.head_input import HeadInput, at
from genrec.decoding.output_head import Head, OutputHead
from genrec.decoding.packed_beams import PackedBackend, PackedSteps
from genrec.decoding.prefill import Prefill, model_state
from genrec.decoding.prompt_cache import PromptCache
from genrec.decoding.row_tree import RowTree, additive
from genrec.decoding.slot_cache import SlotLayer


class FusedBackend:
    """Searches with a model for which `fuses` holds; once it no longer does, by the model's own modules.

    Args:
        model: The model.
        prompt_cache: Keeps beginnings of prompts between searches.
    """

    def __init__(self, model: Any, *, prompt_cache: PromptCache | None = None) -> None:
        self.forward = HeadInput(model)
        self.prompt_cache = prompt_cache
        self.weights = FusedWeights.of(self.forward.body)
        self.sliced = SlicedHead()

    def head(self) -> Head:
        """See `SearchBackend.head`."""
        head = self.forward.head()
        return (
            OutputHead(head.head, self.sliced.of(head.head.weight)) if isinstance(head, OutputHead) else head
        )

    @torch.no_grad()
    def start(
        self, input_ids: Tensor, real: Tensor, capacity: int = 0
    ) -> tuple[FusedSteps | PackedSteps, Tensor]:
        """Prefills the prompts; see `SearchBackend.start`."""
        weights = self.weights
        if weights.state != state_of(self.forward.body):  # trained since, moved, or given adapters
            if not fuses(self.forward.model):
                self.weights = replace(weights, state=())  # merging leaves no trace in versions
                packed = PackedBackend(self.forward.model, prompt_cache=self.prompt_cache)
                return packed.start(input_ids, real, capacity)
            weights = self.weights = FusedWeights.of(self.forward.body)
        cache = self.prompt_cache
        prompts = Prefill(input_ids, real, cache, None if cache is None else model_state(self.forward.model))
        layers = [SlotLayer(capacity) for _ in weights.layers]
        prompts.fill(layers)
        tree = RowTree(prompts.lengths, prompts.slots, capacity)
        steps = FusedSteps(self.forward.body, weights, layers, tree)
        # padding stands behind every real token, so plain causal attention never lets one see it
        mask = prompts.mask() if prompts.begun else None
        states = steps.run(prompts.ids, prompts.positions, mask, prompts.last)
        prompts.done(layers)
        return steps, states


class FusedSteps:
    """A search behind its prompts; see `StepModel`.

    Args:
        body: The model's decoder, for its embedding and its rotary angles.
        weights: Its layers.
        layers: Slots of each.
        tree: Row 0 of every prompt.
    """

    def __init__(self, body: Any, weights: FusedWeights, layers: list[SlotLayer], tree: RowTree) -> None:
        self.body = body
        self.weights = weights
        self.layers = layers
        self.tree = tree
        self.group = weights.heads // weights.key_heads  # query heads that share a key head

    @torch.no_grad()
    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """Adds rows; see `StepModel.step`."""
        positions = self.tree.add(parent)
        return self.run(tokens, positions, self.tree.mask(), None)

    def keep(self, prompts: Tensor) -> None:
        """Goes on with some prompts only; see `StepModel.keep`."""
        self.tree.keep(prompts)
        for layer in self.layers:
            layer.keep(prompts)

    def truncate(self, rows: int) -> None:
        """Forgets rows; see `StepModel.truncate`."""
        self.tree.truncate(rows)
        for layer in self.layers:
            layer.truncate(self.tree.slots + rows - 1)

    def run(self, ids: Tensor, positions: Tensor, mask: Tensor | None, last: Tensor | None) -> Tensor:
        """States of tokens, whose keys and values take the next slots.

        Args:
            ids: int64 `[batch, tokens]`.
            positions: int64 `[batch or 1, tokens]`.
            mask: bool `[batch or 1, 1, tokens, slots]`; None for whole prompts, which are causal.
            last: int64 `[batch]`, the token of each prompt whose state is wanted; None = all.

        Returns:
            `[batch, tokens, width]`, with `last` given `[batch, 1, width]`.
        """
        hidden = self.body.embed_tokens(ids)
        angles = self.body.rotary_emb(hidden, positions)  # cosines, sines, each [batch or 1, tokens, d]
        cos, sin = (angle.unsqueeze(2) for angle in angles)
        if mask is not None:  # query heads that share a key head are rows of one product
            mask = additive(mask, hidden.dtype).repeat(1, 1, self.group, 1)
        end = len(self.weights.layers) - 1
        for number, (layer, slots) in enumerate(zip(self.weights.layers, self.layers, strict=True)):
            normed = self._norm(hidden, layer.input_norm)
            key, value = (self._heads(x) for x in layer.projections(normed, 1))
            key = _rotated(self._norm(key, layer.key_norm), cos, sin)
            kept = slots.update(key.transpose(1, 2), value.transpose(1, 2))
            if last is not None and number == end:  # nothing reads the other tokens' states any more
                hidden, normed = at(hidden, last), at(normed, last)
                cos, sin = (at(x.expand(len(ids), -1, -1, -1), last) for x in (cos, sin))
                slot = torch.arange(kept[0].shape[2], device=last.device)
                place = (last + len(slot) - ids.shape[1]).view(-1, 1, 1, 1)
                mask = additive(slot <= place, hidden.dtype)  # [batch, 1, 1, slots]
                mask = mask.expand(-1, -1, self.group, -1)
            query = self._heads(layer.projections(normed, 0, 1)[0])  # [batch, tokens, heads, d]
            query = _rotated(self._norm(query, layer.query_norm), cos, sin)
            hidden = hidden + layer.output(self._attended(query, *kept, mask))[0]
            gate, up = layer.gate_and_up(self._norm(hidden, layer.inner_norm))
            hidden = hidden + layer.down(functional.silu(gate).mul_(up))[0]
        return self._norm(hidden, self.weights.norm)

    def _attended(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """What the heads of `query [batch, tokens, heads, d]` read, `[batch, tokens, heads * d]`."""
        tokens = query.shape[1]
        query = query.transpose(1, 2)  # [batch, heads, tokens, d]
        if mask is None:
            found = functional.scaled_dot_product_attention(
                query, keys, values, is_causal=True, enable_gqa=self.group > 1
            )
        else:  # the query heads of one key head as rows of one product
            query = query.reshape(len(query), keys.shape[1], self.group * tokens, -1)
            found = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
            found = found.reshape(len(query), -1, tokens, found.shape[-1])  # [batch, heads, tokens, d]
        return found.transpose(1, 2).flatten(2)

    def _heads(self, states: Tensor) -> Tensor:
        """`[batch, tokens, heads * d]` -> `[batch, tokens, heads, d]`."""
        split: Tensor = states.unflatten(-1, (-1, self.weights.head_width))
        return split

    def _norm(self, states: Tensor, weight: Tensor | None) -> Tensor:
        if weight is None:  # only Qwen3 has norms on heads
            return states
        if states.dtype == torch.float32:
            return functional.rms_norm(states, weight.shape, weight, self.weights.eps)
        normed = functional.rms_norm(states.float(), weight.shape, None, self.weights.eps)
        return weight * normed.to(states.dtype)


def _rotated(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of `states [batch, tokens, heads, d]`."""
    first, second = states.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return torch.addcmul(states * cos, turned, sin)
