"""A catalog's trie as buffers of a model: saved and loaded with its weights.

Does not know tokens or scores: it answers which nodes may follow a node.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from genrec.catalog import CatalogTrie


class TrieArrays(nn.Module):
    """Nodes are numbered level by level as in `CatalogTrie`; the root is node 0 above level 0.

    Made empty, so that a saved model can be loaded into it; `fill` takes a trie.

    Args:
        num_items: Leaves.
        num_nodes: Nodes of each level; the last entry is `num_items`.
        max_children: Most children a node has, level by level.

    Attributes:
        codes_0 …: int64 `[nodes]`, last code of each node's path.
        starts_0 …: int64 `[nodes above]`, first child of each node of the level above.
        counts_0 …: int64 `[nodes above]`, number of its children.
        paths: int64 `[items, L]`, node of each item's prefix at each level, items in catalog order.
        rows: int64 `[items]`, catalog row of each leaf.
    """

    paths: Tensor
    rows: Tensor

    def __init__(self, num_items: int, num_nodes: tuple[int, ...], max_children: tuple[int, ...]) -> None:
        super().__init__()
        self.length = len(num_nodes)
        self.max_children = max_children
        for level, (nodes, above) in enumerate(zip(num_nodes, (1, *num_nodes[:-1]), strict=True)):
            for name, size in (("codes", nodes), ("starts", above), ("counts", above)):
                self.register_buffer(f"{name}_{level}", torch.zeros(size, dtype=torch.long))
        self.register_buffer("paths", torch.zeros(num_items, self.length, dtype=torch.long))
        self.register_buffer("rows", torch.zeros(num_items, dtype=torch.long))

    def fill(self, trie: CatalogTrie) -> None:
        """Takes the arrays of a trie of the same shape."""
        node = np.arange(trie.num_items)  # of every leaf, walking up from the last level
        paths = np.empty((trie.num_items, trie.length), dtype=np.int64)
        for level in range(trie.length - 1, -1, -1):
            paths[trie.rows, level] = node
            counts = np.diff(trie.indptr[level]).astype(np.int64)
            parents = np.repeat(np.arange(len(counts)), counts)  # parent of each node of the level
            node = parents[node]
            self._set(f"codes_{level}", trie.codes[level])
            self._set(f"starts_{level}", trie.indptr[level][:-1])
            self._set(f"counts_{level}", counts)
        self._set("paths", paths)
        self._set("rows", trie.rows)

    def _set(self, name: str, values: np.ndarray) -> None:
        self.get_buffer(name).copy_(torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64)))

    def codes(self, level: int) -> Tensor:
        """Last code of each node of a level, int64 `[nodes]`."""
        return self.get_buffer(f"codes_{level}")

    def item_codes(self) -> Tensor:
        """Semantic ID of each item, int64 `[items, L]`, in catalog order."""
        return torch.stack([self.codes(level)[self.paths[:, level]] for level in range(self.length)], dim=1)

    def children_of(self, level: int, parents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All children of nodes of the level above, one parent after the other.

        Args:
            level: The children's level.
            parents: int64 `[n]`; -1 has no children.

        Returns:
            For each child: which of the n parents it belongs to, its place among that parent's children, its
            node. All int64 `[children]`.
        """
        known = parents.clamp(min=0)
        counts = self.get_buffer(f"counts_{level}")[known].masked_fill(parents < 0, 0)  # [n]
        owner = torch.repeat_interleave(counts)  # [children]
        place = torch.arange(len(owner), device=parents.device) - (counts.cumsum(0) - counts)[owner]
        return owner, place, self.first_child(level, known)[owner] + place

    def first_child(self, level: int, parents: Tensor) -> Tensor:
        """First child of each node, int64 like `parents`."""
        return self.get_buffer(f"starts_{level}")[parents]
