"""A catalog's trie and a vocabulary's token ids joined into tensors on one device.

Does not know models or scores: it answers which tokens may follow a node, and where they lead.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genrec.catalog import CatalogTrie
from genrec.errors import DecodingError
from genrec.vocabulary import SemanticIdVocabulary


class TrieTables:
    """Tensor view of a `CatalogTrie` in the token ids of a `SemanticIdVocabulary`.

    Args:
        trie: Flat arrays over codes.
        vocabulary: Code to token id.
        device: Where the tensors live.

    Raises:
        DecodingError: Trie and vocabulary disagree on the ID's positions, or the trie is empty.
    """

    def __init__(
        self, trie: CatalogTrie, vocabulary: SemanticIdVocabulary, device: torch.device | str
    ) -> None:
        if trie.codebook_sizes != vocabulary.spec.codebook_sizes:
            raise DecodingError(
                "the catalog's trie and the vocabulary describe different Semantic IDs",
                received=f"trie {trie.codebook_sizes}, vocabulary {vocabulary.spec.codebook_sizes}",
                remedy="use the vocabulary that was made from this catalog's spec",
            )
        if trie.num_items == 0:
            raise DecodingError(
                "the catalog is empty", received="a trie of 0 items", remedy="add items to the catalog first"
            )
        self.length = trie.length
        self.num_items = trie.num_items
        self.device = torch.device(device)
        self.level_ids = tuple(torch.as_tensor(ids, device=self.device) for ids in vocabulary.token_ids)
        self.codes = tuple(self._long(codes) for codes in trie.codes)
        self.starts = tuple(self._long(indptr[:-1]) for indptr in trie.indptr)
        self.counts = tuple(self._long(np.diff(indptr)) for indptr in trie.indptr)
        self.max_children = tuple(int(np.diff(indptr).max(initial=0)) for indptr in trie.indptr)
        self.rows = self._long(trie.rows)
        sizes = trie.codebook_sizes
        # key of a node = parent * size + code: sorted, as nodes are numbered in lexicographic order
        self.keys = tuple(
            self._long(np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))) * size + codes
            for indptr, size, codes in zip(trie.indptr, sizes, self.codes, strict=True)
        )
        self.sizes = tuple(sizes)

    def _long(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array, dtype=np.int64), device=self.device)

    def children(self, level: int, parents: Tensor) -> tuple[Tensor, Tensor]:
        """Children of nodes: `(nodes [..., c], valid [..., c])` for `parents [...]` of the level above.

        `c` is the largest number of children at this level; a negative parent has none.
        """
        offsets = torch.arange(self.max_children[level], device=self.device)
        known = parents.clamp(min=0)
        valid = (offsets < self.counts[level][known].unsqueeze(-1)) & (parents >= 0).unsqueeze(-1)
        nodes = (self.starts[level][known].unsqueeze(-1) + offsets).clamp(max=len(self.codes[level]) - 1)
        return nodes, valid

    def child_of(self, level: int, parents: Tensor, codes: Tensor) -> Tensor:
        """Node reached from `parents` by `codes` (same shape), -1 where the trie has no such path."""
        keys = self.keys[level]
        wanted = parents * self.sizes[level] + codes
        found = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        return torch.where((keys[found] == wanted) & (parents >= 0) & (codes >= 0), found, -1)

    def tokens(self, level: int, nodes: Tensor) -> Tensor:
        """Token id of each node's last code."""
        return self.level_ids[level][self.codes[level][nodes]]
