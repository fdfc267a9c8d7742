"""A trie's arrays as tensors on one device: children, leaves below a node, the codes of a leaf.

Does not know token ids, models or scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genrec.catalog import CatalogTrie


class TrieLevels:
    """Tensor view of a trie; on a CPU it shares the trie's memory.

    Args:
        codes: One array per level, the last code of each node's path.
        indptr: One array per level, where the children of each node of the level above begin; one entry more.
        rows: Catalog row of each leaf.
        ends: Terminator's code of each level; empty when no ID ends early.
        device: Where the tensors live.
    """

    def __init__(
        self,
        codes: Sequence[np.ndarray | Tensor],
        indptr: Sequence[np.ndarray | Tensor],
        rows: np.ndarray | Tensor,
        ends: Sequence[int] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.codes = tuple(self._tensor(array) for array in codes)
        self.indptr = tuple(self._tensor(array) for array in indptr)
        self.rows = self._tensor(rows)
        self.ends = tuple(ends)

    @classmethod
    def of(cls, trie: CatalogTrie, device: torch.device | str = "cpu") -> TrieLevels:
        """The levels of a catalog's trie."""
        ends = (*trie.codebook_sizes, 0) if trie.terminated else ()
        return cls(trie.codes, trie.indptr, trie.rows, ends, device)

    def _tensor(self, array: np.ndarray | Tensor) -> Tensor:
        if isinstance(array, np.ndarray):
            array = torch.from_numpy(array if array.flags.writeable else array.copy())
        if self.device.type != "cpu" and array.dtype == torch.uint16:
            array = array.int()  # accelerators have no indexing of uint16
        return array.to(self.device)

    @cached_property
    def max_children(self) -> tuple[int, ...]:
        """Most children a node has, level by level."""
        return tuple(
            int((bounds[1:] - bounds[:-1]).max()) if len(bounds) > 1 else 0 for bounds in self.indptr
        )

    @property
    def length(self) -> int:
        """Levels."""
        return len(self.codes)

    @property
    def num_items(self) -> int:
        """Leaves."""
        return len(self.rows)

    def code(self, level: int, nodes: Tensor) -> Tensor:
        """Last code of nodes of a level, int64 like `nodes`."""
        return self.codes[level][nodes].long()

    def expand(self, level: int, parents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All children of nodes of the level above, one parent after the other, nothing padded.

        Args:
            level: The children's level.
            parents: int64 `[m]`; -1 has no children.

        Returns:
            For each child: which of the m parents it belongs to, and its node, both int64 `[children]`; and
            the number of children of each parent, int64 `[m]`.
        """
        known = parents.clamp(min=0)
        first = self.indptr[level][known].long()
        counts = (self.indptr[level][known + 1] - first).masked_fill(parents < 0, 0)  # [m]
        owner = torch.repeat_interleave(counts)  # [children]
        shift = first - (counts.cumsum(0) - counts)
        child = torch.arange(len(owner), device=self.device) + shift.index_select(0, owner)
        return owner, child, counts

    def children(self, level: int, parents: Tensor) -> tuple[Tensor, Tensor]:
        """The same, padded to the most children a node of the level above has: no size depends on the data.

        Args:
            level: The children's level.
            parents: int64 `[...]`; a negative one has no children.

        Returns:
            Nodes int64 and whether each is one, both `[..., c]`.
        """
        offsets = torch.arange(self.max_children[level], device=self.device)
        known = parents.clamp(min=0)
        first = self.indptr[level][known].long()
        counts = (self.indptr[level][known + 1] - first).masked_fill(parents < 0, 0)
        nodes = (first.unsqueeze(-1) + offsets).clamp(max=len(self.codes[level]) - 1)
        return nodes, offsets < counts.unsqueeze(-1)

    def child_of(self, level: int, parents: Tensor, codes: Tensor) -> Tensor:
        """Node reached from `parents` by `codes` (same shape), int64; -1 where the trie has no such path."""
        known = parents.clamp(min=0)
        low, end = self.indptr[level][known].long(), self.indptr[level][known + 1].long()
        high, last = end, len(self.codes[level]) - 1
        for _ in range(self.max_children[level].bit_length()):  # halving finds the first code not below
            middle = (low + high) // 2
            below = (low < high) & (self.code(level, middle.clamp(max=last)) < codes)
            low, high = torch.where(below, middle + 1, low), torch.where(below, high, middle.maximum(low))
        found = low.clamp(max=last)
        there = (low < end) & (self.code(level, found) == codes) & (parents >= 0) & (codes >= 0)
        return torch.where(there, found, -1)

    def ended(self, level: int, nodes: Tensor) -> Tensor:
        """Whether the IDs of nodes of a level end in a terminator already, bool like `nodes`."""
        return self.code(level, nodes.clamp(min=0)) == self.ends[level]

    def leaves(self, level: int, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """First leaf below each node, and the one behind the last, int64 like `nodes`."""
        first, end = nodes, nodes + 1
        for indptr in self.indptr[level + 1 :]:
            first, end = indptr[first].long(), indptr[end].long()
        return first, end

    def leaf_codes(self, leaves: Tensor) -> Tensor:
        """Semantic IDs of leaves, int64 `[..., L]`; -1 behind the end of a shorter one."""
        found, nodes = [], leaves
        for level in range(self.length - 1, -1, -1):
            codes = self.code(level, nodes)
            if self.ends:
                codes = codes.masked_fill(codes == self.ends[level], -1)
            found.append(codes)
            bounds = self.indptr[level]
            nodes = torch.searchsorted(bounds, nodes.to(bounds.dtype), right=True) - 1
        if self.ends:
            found = found[1:]  # the terminator's own level
        return torch.stack(found[::-1], dim=-1)
