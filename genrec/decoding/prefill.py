"""Prompts on their way into the slots: padded on the right, without what a prompt cache holds already.

Does not know how a forward pass is run.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genrec.decoding.padding import right_padded
from genrec.decoding.prompt_cache import PromptCache
from genrec.decoding.slot_cache import SlotLayer


class Prefill:
    """The prompts of one search.

    Args:
        input_ids: int64 `[batch, prompt]`, padded on either side.
        real: bool `[batch, prompt]`.
        cache: Where beginnings may be kept.
        state: What the model is now, see `model_state`; None without a cache.

    Attributes:
        ids: int64 `[batch, left]`, tokens still to be read; padding repeats the prompt's first token.
        positions: int64 `[1, left]`, their places in the text.
        lengths: int64 `[batch]`, of the whole prompts.
        slots: Slots of a whole prompt.
        begun: Tokens of every prompt that are there already.
    """

    def __init__(
        self, input_ids: Tensor, real: Tensor, cache: PromptCache | None = None, state: Hashable = None
    ) -> None:
        ids, real = right_padded(input_ids, real)
        self.lengths = real.sum(dim=1)
        self.slots = ids.shape[1]
        self.cache = cache
        self.state = state
        self.begun = 0
        self.pairs: Sequence[tuple[Tensor, Tensor]] = ()
        ids = torch.where(real, ids, ids[:, :1])  # padding no model takes for padding
        if cache is not None:
            self._all: tuple[np.ndarray, np.ndarray] = (ids.cpu().numpy(), self.lengths.cpu().numpy())
            self.begun, self.pairs = cache.fetch(state, *self._all)
        self.ids = ids[:, self.begun :]
        self.positions = torch.arange(self.begun, self.slots, device=ids.device).unsqueeze(0)

    @property
    def last(self) -> Tensor:
        """Of each prompt the place of its last token among those still to be read, int64 `[batch]`."""
        return self.lengths - 1 - self.begun

    def fill(self, layers: Sequence[SlotLayer]) -> None:
        """Puts what is there already into fresh slots."""
        for layer, (keys, values) in zip(layers, self.pairs, strict=False):
            layer.room += self.slots - self.begun
            begun = (x[None, :, : self.begun].expand(len(self.ids), -1, -1, -1) for x in (keys, values))
            layer.update(*begun)

    def mask(self, window: int | None = None) -> Tensor:
        """What the tokens still to be read attend to, bool `[1, 1, left, slots]`."""
        own, slot = self.positions[0].unsqueeze(1), torch.arange(self.slots, device=self.ids.device)
        seen = slot <= own
        return (seen if window is None else seen & (own - slot < window))[None, None]

    def done(self, layers: Sequence[SlotLayer]) -> None:
        """Hands the prompts' keys and values to the cache."""
        if self.cache is not None:
            self.cache.keep(self.state, *self._all, layers)


def model_state(model: Any) -> Hashable:
    """Equal as long as no weight was written to or moved and the same adapters are active."""
    adapters: Hashable = None
    if getattr(model, "peft_config", None):
        from peft.tuners.tuners_utils import BaseTunerLayer

        tuned = next((m for m in model.modules() if isinstance(m, BaseTunerLayer)), None)
        if tuned is not None:
            adapters = tuned.disable_adapters, tuple(tuned.active_adapters), tuple(tuned.merged_adapters)
    return tuple(version(parameter) for parameter in model.parameters()), adapters


def version(parameter: Tensor) -> tuple[int, int]:
    """Where a tensor lies, and how often it was written to."""
    return parameter.data_ptr(), 0 if parameter.is_inference() else parameter._version
