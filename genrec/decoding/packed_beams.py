"""Decoder-only models: all rows of a prompt stand in one sequence behind it, told apart by the mask.

Does not know tries, codes or scores. The prompt's keys and values are computed once and never copied;
re-ordering beams changes the mask, never the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from genrec.decoding.head_input import HeadInput
from genrec.decoding.output_head import Head
from genrec.decoding.prefill import Prefill, model_state
from genrec.decoding.prompt_cache import PromptCache
from genrec.decoding.row_tree import RowTree, additive
from genrec.decoding.slot_cache import SlotCache

_MASKED_LAYERS = frozenset({"full_attention", "sliding_attention"})


class PackedBackend:
    """Searches with a decoder-only model that takes a 4D attention mask and position ids.

    Args:
        model: The model.
        logits: Take the model's own logits, even where its head can be read.
        prompt_cache: Keeps beginnings of prompts between searches.
    """

    def __init__(self, model: Any, *, logits: bool = False, prompt_cache: PromptCache | None = None) -> None:
        self.prompt_cache = prompt_cache
        self.forward = HeadInput(model, logits=logits)
        self.windows = layer_windows(model.config.get_text_config())

    def head(self) -> Head:
        """See `SearchBackend.head`."""
        return self.forward.head()

    def start(self, input_ids: Tensor, real: Tensor, capacity: int = 0) -> tuple[PackedSteps, Tensor]:
        """Prefills the prompts; see `SearchBackend.start`."""
        kept = self.prompt_cache
        prompts = Prefill(input_ids, real, kept, None if kept is None else model_state(self.forward.model))
        cache = SlotCache(capacity)
        mask = None  # padding stands behind every real token, so plain causal attention never lets one see it
        if prompts.begun:
            cache.begin(len(prompts.pairs))
            prompts.fill(cache.slot_layers)
            mask = _additive(self.windows, prompts.mask, self.forward.model.dtype)
        states = self.forward(
            prompts.last,
            input_ids=prompts.ids,
            attention_mask=mask,
            position_ids=prompts.positions.expand(len(prompts.ids), -1),
            past_key_values=cache,
            use_cache=True,
        )
        prompts.done(cache.slot_layers)
        tree = RowTree(prompts.lengths, prompts.slots, capacity)
        return PackedSteps(self.forward, self.windows, cache, tree, states.dtype), states


class PackedSteps:
    """A search behind its prompts; see `StepModel`.

    Args:
        forward: The model up to its head.
        windows: Of each type of layer, see `layer_windows`.
        cache: The prompts' keys and values.
        tree: Row 0 of every prompt.
        dtype: Of the mask.
    """

    def __init__(
        self,
        forward: HeadInput,
        windows: dict[str, int | None],
        cache: SlotCache,
        tree: RowTree,
        dtype: torch.dtype,
    ) -> None:
        self.forward = forward
        self.windows = windows
        self.cache = cache
        self.tree = tree
        self.dtype = dtype

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """Adds rows; see `StepModel.step`."""
        position = self.tree.add(parent)
        return self.forward(
            input_ids=tokens,
            attention_mask=_additive(self.windows, self.tree.mask, self.dtype),
            position_ids=position,
            past_key_values=self.cache,
            use_cache=True,
        )

    def keep(self, prompts: Tensor) -> None:
        """Goes on with some prompts only; see `StepModel.keep`."""
        self.tree.keep(prompts)
        self.cache.keep(prompts)

    def truncate(self, rows: int) -> None:
        """Forgets rows; see `StepModel.truncate`."""
        self.tree.truncate(rows)
        self.cache.truncate(self.tree.slots + rows - 1)


def _additive(
    windows: dict[str, int | None], mask: Callable[[int | None], Tensor], dtype: torch.dtype
) -> Tensor | dict[str, Tensor]:
    """The mask of each type of layer, alone where there is one type."""
    masks = {kind: additive(mask(window), dtype) for kind, window in windows.items()}
    return masks if len(masks) > 1 else next(iter(masks.values()))


def layer_windows(config: PreTrainedConfig) -> dict[str, int | None]:
    """The sliding window of each type of layer a model has, None for layers that see everything.

    A model with one type takes one mask, a model with several a mask for each.
    """
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    if kinds is None:
        return {"every layer": window}
    return {kind: window if kind == "sliding_attention" else None for kind in dict.fromkeys(kinds)}


def takes_masks(model: Any) -> bool:
    """Whether a model reads 4D masks: not with flash attention, nor in layers of other kinds."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or []
    return config._attn_implementation in ("eager", "sdpa") and set(kinds) <= _MASKED_LAYERS
