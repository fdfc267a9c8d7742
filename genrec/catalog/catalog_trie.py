"""The trie of a catalog's Semantic IDs as flat arrays over codes.

Does not know items, token ids or logits: a leaf is a row number of the code matrix it was built from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genrec.errors import SemanticIdError


@dataclass(frozen=True)
class CatalogTrie:
    """Compressed sparse rows, one level per position of the ID.

    A node is a row number of its level, in lexicographic order of its path; the root is node 0 above level 0.
    The children of node i of the level above `level` are the nodes `indptr[level][i] : indptr[level][i + 1]`
    of `level`.

    Attributes:
        codebook_sizes: Sizes of the ID's positions.
        codes: One array per level: the last code of each node's path (uint8, uint16 or int32, as the size
            needs).
        indptr: One int32 array per level, of as many entries as the level above has nodes, plus one.
        rows: int32 `[n]`, row of the code matrix of each leaf, leaves in lexicographic order of their IDs.
    """

    codebook_sizes: tuple[int, ...]
    codes: tuple[np.ndarray, ...]
    indptr: tuple[np.ndarray, ...]
    rows: np.ndarray

    @classmethod
    def from_codes(cls, codes: np.ndarray, codebook_sizes: Sequence[int]) -> CatalogTrie:
        """Builds the trie of distinct IDs of one length.

        Args:
            codes: int `[n, L]`; row r is the Semantic ID of item r.
            codebook_sizes: Sizes of the L positions.

        Raises:
            SemanticIdError: Another shape, a code outside its codebook, or an ID that stands in two rows.
        """
        sizes = tuple(int(size) for size in codebook_sizes)
        matrix = _checked(np.asarray(codes), sizes)
        order = np.lexsort(matrix.T[::-1]).astype(np.int32)  # the first position is the main key
        ordered = matrix[order]  # [n, L], lexicographic
        opens = np.zeros(len(ordered), dtype=bool)  # rows at which a new node of the level begins
        opens[:1] = True
        above = np.flatnonzero(opens[:1])  # first row of each node of the level above: the root's
        level_codes, level_indptr = [], []
        for position, size in enumerate(sizes):
            opens[1:] |= ordered[1:, position] != ordered[:-1, position]
            first = np.flatnonzero(opens)  # first row of each node of this level
            level_codes.append(ordered[first, position].astype(_code_dtype(size)))
            level_indptr.append(np.append(np.searchsorted(first, above), len(first)).astype(np.int32))
            above = first
        if len(above) != len(ordered):
            shared = int(np.flatnonzero(~opens)[0])
            raise SemanticIdError(
                "two items share one Semantic ID",
                received=f"rows {order[shared - 1]} and {order[shared]}, codes {ordered[shared].tolist()}",
                remedy="resolve collisions first, with the policy `matching` or `extra_code`",
            )
        return cls(sizes, tuple(level_codes), tuple(level_indptr), order)

    @property
    def length(self) -> int:
        """Positions of an ID."""
        return len(self.codebook_sizes)

    @property
    def num_items(self) -> int:
        """Leaves."""
        return len(self.rows)

    def row_of(self, codes: Sequence[int]) -> int:
        """Row of the code matrix of a whole ID, -1 where no item has it."""
        if len(codes) != self.length:
            return -1
        node = 0
        for level, code in enumerate(codes):
            start, end = int(self.indptr[level][node]), int(self.indptr[level][node + 1])
            node = start + int(np.searchsorted(self.codes[level][start:end], code))
            if node == end or int(self.codes[level][node]) != code:
                return -1
        return int(self.rows[node])


def _code_dtype(size: int) -> type[np.generic]:
    if size <= 1 << 8:
        return np.uint8
    return np.uint16 if size <= 1 << 16 else np.int32


def _checked(codes: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    if codes.ndim != 2 or codes.shape[1] != len(sizes) or codes.dtype.kind not in "iu":
        raise SemanticIdError(
            "the codes do not fit the spec",
            received=f"{codes.dtype} array of shape {codes.shape} for codebook sizes {sizes}",
            remedy=f"pass an integer matrix of {len(sizes)} columns, one row per item",
        )
    outside = (codes < 0) | (codes >= np.array(sizes, dtype=np.int64))
    if outside.any():
        row, position = (int(index) for index in np.argwhere(outside)[0])
        raise SemanticIdError(
            f"a code is outside its codebook, in row {row}, position {position}",
            received=int(codes[row, position]),
            remedy=f"use codes 0 to {sizes[position] - 1} there",
        )
    return codes
