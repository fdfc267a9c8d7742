"""Keys and values in slots that are allocated once: prompts first, the rows of a search behind them.

Does not know which slot a row may see: the mask says so. Layers with a sliding window keep every slot too,
as the window counts places in the text and not slots.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, float `[batch, heads, slots, head width]`.

    Args:
        room: Slots beyond those of the first tokens; more are made when they run out.
    """

    is_sliding = False
    keys: Any  # tensors from the first update on
    values: Any

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.used = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocates the slots."""
        self.dtype, self.device = key_states.dtype, key_states.device
        slots = key_states.shape[-2] + self.room
        self.keys = key_states.new_empty(*key_states.shape[:2], slots, key_states.shape[-1])
        self.values = value_states.new_empty(*value_states.shape[:2], slots, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes new tokens into the next slots; returns views of all slots in use."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.used + key_states.shape[-2]
        self._grow(end)
        self.keys[:, :, self.used : end] = key_states
        self.values[:, :, self.used : end] = value_states
        self.used = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep(self, prompts: Tensor) -> None:
        """Goes on with the prompts `prompts [m]`, in this order."""
        self.keys, self.values = self.keys[prompts], self.values[prompts]

    def truncate(self, slots: int) -> None:
        """Forgets what stands in the slots from number `slots` on."""
        self.used = slots

    def _grow(self, slots: int) -> None:
        room = self.keys.shape[-2]
        if slots > room:
            more = (0, 0, 0, max(slots, 2 * room) - room)
            self.keys = torch.nn.functional.pad(self.keys, more)
            self.values = torch.nn.functional.pad(self.values, more)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of a mask over the slots in use and `query_length` more."""
        return self.used + query_length, 0

    def get_seq_length(self) -> int:
        """Slots in use."""
        return self.used

    def get_max_length(self) -> int:
        """No maximum."""
        return -1


class SlotCache(Cache):
    """A `SlotLayer` for every layer of a model.

    Args:
        room: Slots to keep free behind the prompts.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        super().__init__(layer_class_to_replicate=partial(SlotLayer, room))  # type: ignore[arg-type]

    @property
    def slot_layers(self) -> list[SlotLayer]:
        """The layers so far."""
        return cast(list[SlotLayer], self.layers)

    def begin(self, layers: int) -> None:
        """Makes the first layers, before the model does."""
        self.layers.extend(SlotLayer(self.room) for _ in range(layers))

    def keep(self, prompts: Tensor) -> None:
        """Goes on with the prompts `prompts [m]`, in this order."""
        for layer in self.slot_layers:
            layer.keep(prompts)

    def truncate(self, slots: int) -> None:
        """Forgets what stands in the slots from number `slots` on."""
        for layer in self.slot_layers:
            layer.truncate(slots)
