"""A catalog's trie and a vocabulary's token ids joined into tensors on one device.

Does not know models or scores: it answers which tokens may follow a node, and where they lead.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genrec.catalog import CatalogTrie
from genrec.decoding.trie_levels import TrieLevels
from genrec.errors import DecodingError
from genrec.vocabulary import SemanticIdVocabulary


class TrieTables:
    """Tensor view of a `CatalogTrie` in the token ids of a `SemanticIdVocabulary`.

    Args:
        trie: Flat arrays over codes.
        vocabulary: Code to token id.
        device: Where the tensors live.

    Attributes:
        levels: The trie's arrays; on a CPU they share its memory.
        level_ids: int64 `[codes]` per level, token id of each code; a terminated trie's have the terminator
            behind the codes.

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
        self.levels = TrieLevels.of(trie, device)
        self.length = trie.length
        self.num_items = trie.num_items
        self.device = self.levels.device
        ids = [np.asarray(of_position) for of_position in vocabulary.token_ids]
        if trie.terminated:
            end = np.array([vocabulary.terminator_id])
            ids = [*(np.concatenate([of_position, end]) for of_position in ids), end]
        self.level_ids = tuple(torch.as_tensor(of_level, device=self.device) for of_level in ids)

    def children(self, level: int, parents: Tensor) -> tuple[Tensor, Tensor]:
        """Children of nodes: `(nodes [..., c], valid [..., c])` for `parents [...]` of the level above.

        `c` is the largest number of children at this level; a negative parent has none.
        """
        return self.levels.children(level, parents)

    def child_of(self, level: int, parents: Tensor, codes: Tensor) -> Tensor:
        """Node reached from `parents` by `codes` (same shape), -1 where the trie has no such path."""
        return self.levels.child_of(level, parents, codes)

    def first_child(self, level: int, parents: Tensor) -> Tensor:
        """First child of each node of the level above, int64 like `parents`."""
        return self.levels.indptr[level][parents].long()

    def code(self, level: int, nodes: Tensor) -> Tensor:
        """Last code of each node's path, int64 like `nodes`."""
        return self.levels.code(level, nodes)

    def tokens(self, level: int, nodes: Tensor) -> Tensor:
        """Token id of each node's last code, int64 like `nodes`."""
        return self.level_ids[level][self.levels.code(level, nodes)]
