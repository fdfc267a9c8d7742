"""What a request may change about a trie without touching it: which items are allowed, and a bonus for each.

Does not know catalog rows, requests' prompts or scores: it speaks of leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TrieFilter:
    """A set of allowed leaves, as the shorter of two lists: those allowed, or those that are not.

    How many allowed leaves lie below a node is the difference of two places in that list, so a filter costs
    nothing that grows with the trie; a node without one is closed.

    Attributes:
        num_leaves: Leaves of the trie.
        leaves: int32, sorted, the listed leaves.
        complement: Whether all leaves but these are allowed.
    """

    num_leaves: int
    leaves: np.ndarray
    complement: bool

    @classmethod
    def of_leaves(cls, allowed: np.ndarray) -> TrieFilter:
        """From bool `[num_leaves]`."""
        complement = 2 * int(np.count_nonzero(allowed)) > len(allowed)
        listed = np.flatnonzero(allowed != complement).astype(np.int32)
        return cls(len(allowed), listed, complement)

    @property
    def num_allowed(self) -> int:
        """Allowed leaves."""
        return self.num_leaves - len(self.leaves) if self.complement else len(self.leaves)

    def counts(self, bounds: np.ndarray) -> np.ndarray:
        """Allowed leaves below each node, int `[nodes]`, for `CatalogTrie.first_leaves` of a level."""
        listed: np.ndarray = np.diff(np.searchsorted(self.leaves, bounds))
        if self.complement:
            listed = np.diff(bounds) - listed
        return listed

    def allows(self, leaves: np.ndarray) -> np.ndarray:
        """Whether each leaf is allowed, bool of the same shape; looked up in the list, not gone through."""
        if not len(self.leaves):
            return np.full(leaves.shape, self.complement)
        wanted = leaves.astype(self.leaves.dtype)  # a search in numbers of another type copies the list
        place = np.searchsorted(self.leaves, wanted).clip(max=len(self.leaves) - 1)
        listed: np.ndarray = self.leaves[place] == wanted
        return ~listed if self.complement else listed

    def mask(self) -> np.ndarray:
        """The same of all leaves, bool `[num_leaves]`, made anew."""
        allowed = np.full(self.num_leaves, self.complement)
        allowed[self.leaves] = not self.complement
        return allowed


@dataclass(frozen=True)
class ItemBonus:
    """A number to add to each item's score, and the most that any leaf below each node gets.

    Attributes:
        most: One float32 array per level: the highest bonus below each node; the last level's are the items'
            own.
    """

    most: tuple[np.ndarray, ...]

    @classmethod
    def of_leaves(cls, values: np.ndarray, indptr: Sequence[np.ndarray]) -> ItemBonus:
        """From float32 `[num_leaves]` and the trie's `indptr`."""
        most = [values]
        for children in reversed(indptr[1:]):  # every node has a child, so no segment is empty
            most.append(np.maximum.reduceat(most[-1], children[:-1]) if len(values) else values)
        return cls(tuple(reversed(most)))
