"""Keys and values of prompts' beginnings, kept between searches: an instruction, or a user's history so far.

Does not know models: a backend asks how much of its prompts is there already. What is kept is exact; scores
are those of a search without it, up to the rounding of products of other shapes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from genrec.decoding.prefix_index import PrefixIndex
from genrec.decoding.slot_cache import SlotLayer
from genrec.errors import DecodingError, is_count

MIN_TOKENS = 8  # a shorter beginning is read anew faster than it is fetched


@dataclass(frozen=True)
class _Kept:
    ids: np.ndarray  # int64 [tokens]
    pairs: tuple[tuple[Tensor, Tensor], ...]  # of each layer, each [heads, tokens, d]
    bytes: int


class PromptCache:
    """Beginnings of prompts, those used last, up to a number of bytes; for one model, on many threads.

    One prompt is kept as a whole, so that the next request of the same user, or a conversation's next turn,
    reads only what is new; of a batch what all prompts begin with is kept. Everything is dropped when the
    model's weights or its active adapters have changed.

    Args:
        max_bytes: Of keys and values.

    Attributes:
        bytes: In use.
        reused: Prompt tokens that did not have to be read.
        read: Prompt tokens that were.

    Raises:
        DecodingError: `max_bytes` below 1.
    """

    def __init__(self, max_bytes: int) -> None:
        if not is_count(max_bytes):
            raise DecodingError(
                "a prompt cache needs room",
                received=f"max_bytes={max_bytes}",
                remedy="pass a positive number",
            )
        self.max_bytes = max_bytes
        self.bytes = self.reused = self.read = 0
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()  # the one used last at the end
        self._index = PrefixIndex()  # of the same texts
        self._state: Hashable = None
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Drops everything."""
        with self._lock:
            self._clear()

    def fetch(
        self, state: Hashable, ids: np.ndarray, lengths: np.ndarray
    ) -> tuple[int, Sequence[tuple[Tensor, Tensor]]]:
        """The longest beginning that all prompts share and that is kept.

        At least one token of each prompt is left to be read.

        Args:
            state: What the model is now; another state than before empties the cache.
            ids: int64 `[batch, prompt]`, padded on the right.
            lengths: int64 `[batch]`.

        Returns:
            Its length, 0 for none, and each layer's keys and values, `[heads, tokens, d]` or longer.
        """
        shared = ids[0, : min(_shared(ids), int(lengths.min()) - 1)]
        with self._lock:
            if state != self._state:
                self._clear()
                self._state = state
            length, best = self._index.longest(shared)
            pairs: Sequence[tuple[Tensor, Tensor]] = ()
            if best is None or length < MIN_TOKENS:
                length = 0
            else:
                self._kept.move_to_end(best)
                self._index.use(self._kept[best].ids, best)
                pairs = self._kept[best].pairs
            self.reused += length * len(ids)
            self.read += int(lengths.sum()) - length * len(ids)
            return length, pairs

    def keep(
        self, state: Hashable, ids: np.ndarray, lengths: np.ndarray, layers: Sequence[SlotLayer]
    ) -> None:
        """Keeps one prompt, or what the prompts of a batch begin with; arguments as for `fetch`."""
        tokens = int(lengths[0]) if len(ids) == 1 else min(_shared(ids), int(lengths.min()))
        beginning = ids[0, :tokens].copy()
        with self._lock:
            if tokens < MIN_TOKENS or state != self._state or self._index.longest(beginning)[0] == tokens:
                return
            pairs = tuple((x.keys[0, :, :tokens].clone(), x.values[0, :, :tokens].clone()) for x in layers)
            size = sum(tensor.numel() * tensor.element_size() for pair in pairs for tensor in pair)
            if size > self.max_bytes:
                return
            shorter = self._index.beginning(beginning)
            if shorter is not None:
                self._drop(shorter)
            key = beginning.tobytes()
            self._kept[key] = _Kept(beginning, pairs, size)
            self._index.add(beginning, key)
            self.bytes += size
            while self.bytes > self.max_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key)
        self._index.remove(kept.ids, key)
        self.bytes -= kept.bytes

    def _clear(self) -> None:
        self._kept.clear()
        self._index.clear()
        self.bytes = 0


def _shared(ids: np.ndarray) -> int:
    """Columns, from the first on, in which all rows hold the same token."""
    differs = (ids != ids[:1]).any(axis=0)
    return int(differs.argmax()) if differs.any() else ids.shape[1]
