"""A catalog's trie as one table over token ids, for engines that know neither codes nor genrec.

Does not know models or files. `docs/formats/export.md` describes the table.
"""

from __future__ import annotations

import numpy as np

from genrec.catalog import CatalogTrie
from genrec.errors import DecodingError
from genrec.vocabulary import SemanticIdVocabulary


def token_trie(trie: CatalogTrie, vocabulary: SemanticIdVocabulary) -> np.ndarray:
    """The paths of all items in token ids.

    Row 0 is the root; then come the nodes of each level, in the order of their paths, and last one row an
    item. A row's columns are the token id that leads to it and the range of rows that follow it, ordered by
    token id. Whole IDs are followed by one row, whose first column is the item's catalog row in place of a
    token.

    Args:
        trie: The trie, of IDs of one length.
        vocabulary: Joins codes and token ids.

    Returns:
        int32 `[1 + nodes + items, 3]`: token, first row that follows, one behind the last.

    Raises:
        DecodingError: A terminated trie, or one with no item.
    """
    if trie.terminated or trie.num_items == 0:
        raise DecodingError(
            "only a trie of IDs of one length can be written as a table of tokens",
            received=f"{trie.num_items} items, IDs of {'unequal' if trie.terminated else 'one'} length",
            remedy="build the IDs with one length, for one item at least",
        )
    tokens = vocabulary.encode(trie.leaf_codes())  # [items, L]
    sizes = (int(tokens.max()) + 1,) * tokens.shape[1]
    by_token = CatalogTrie.from_codes(tokens, sizes, rows=trie.rows)
    counts = [1, *(len(level) for level in by_token.codes), by_token.num_items]
    starts = np.cumsum([0, *counts])  # first row of the root, of each level, of the items; the end
    table = np.zeros((starts[-1], 3), dtype=np.int32)
    table[0, 0] = -1
    for level, (codes, indptr) in enumerate(zip(by_token.codes, by_token.indptr, strict=True), start=1):
        table[starts[level] : starts[level + 1], 0] = codes
        above = table[starts[level - 1] : starts[level]]
        above[:, 1], above[:, 2] = starts[level] + indptr[:-1], starts[level] + indptr[1:]
    leaves, items = table[starts[-3] : starts[-2]], table[starts[-2] :]
    leaves[:, 1] = np.arange(starts[-2], starts[-1])
    leaves[:, 2] = leaves[:, 1] + 1
    items[:, 0] = by_token.rows
    return table
