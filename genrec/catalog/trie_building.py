"""Semantic IDs checked and put in lexicographic order, as the trie wants them.

Does not know items or nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from genrec.errors import SemanticIdError
from genrec.semantic_ids import END


def code_dtype(size: int) -> type[np.generic]:
    """The smallest type that holds the codes of a level."""
    if size <= 1 << 8:
        return np.uint8
    return np.uint16 if size <= 1 << 16 else np.int32


def sorted_ids(
    codes: np.ndarray, sizes: tuple[int, ...], *, terminated: bool = False
) -> tuple[list[np.ndarray], np.ndarray, bool]:
    """Puts IDs in lexicographic order.

    Args:
        codes: int `[n, L]`, -1 behind the end of a shorter ID.
        sizes: Sizes of the L positions.
        terminated: Give the IDs terminators even if all are of one length.

    Returns:
        The codes of each level in that order, one array `[n]` a level; the order, int32 `[n]`; whether the
        IDs are of unequal length, and so have a level more and terminators (see `CatalogTrie`).

    Raises:
        SemanticIdError: Another shape, a code outside its codebook, an ID with a gap.
    """
    if codes.ndim != 2 or codes.shape[1] != len(sizes) or codes.dtype.kind not in "iu":
        raise SemanticIdError(
            "the codes do not fit the spec",
            received=f"{codes.dtype} array of shape {codes.shape} for codebook sizes {sizes}",
            remedy=f"pass an integer matrix of {len(sizes)} columns, one row per item",
        )
    columns = [codes[:, position] for position in range(len(sizes))]
    terminated = terminated or (codes.dtype.kind == "i" and any((column == END).any() for column in columns))
    _check(columns, sizes, terminated)
    level_sizes = sizes
    if terminated:
        columns = [np.where(column == END, size, column) for column, size in zip(columns, sizes, strict=True)]
        columns.append(np.zeros(len(codes), dtype=np.uint8))  # below the longest IDs' last codes
        level_sizes = (*(size + 1 for size in sizes), 1)
    return *sort_columns(columns, level_sizes), terminated


def sort_columns(columns: Sequence[np.ndarray], sizes: Sequence[int]) -> tuple[list[np.ndarray], np.ndarray]:
    """Columns `[n]` of codes in the lexicographic order of their rows, and that order, int32 `[n]`."""
    count, types = len(columns[0]), [code_dtype(size) for size in sizes]
    bits = [(size - 1).bit_length() for size in sizes]
    row_bits = max(count - 1, 0).bit_length()
    if sum(bits) + row_bits > 63:
        order = np.lexsort(columns[::-1]).astype(np.int32)  # the first position is the main key
        return [column[order].astype(kind) for column, kind in zip(columns, types, strict=True)], order
    # one number an ID, with its row in the last bits: sorting the numbers needs no gather afterwards
    keys = np.zeros(count, dtype=np.int64)
    for column, width in zip(columns, bits, strict=True):
        keys <<= width
        keys |= column.astype(np.int64)
    keys <<= row_bits
    keys |= np.arange(count)
    keys.sort()
    order = (keys & ((1 << row_bits) - 1)).astype(np.int32)
    keys >>= row_bits
    found = []
    for width, kind in zip(reversed(bits), reversed(types), strict=True):
        found.append((keys & ((1 << width) - 1)).astype(kind))
        keys >>= width
    return found[::-1], order


def _check(columns: list[np.ndarray], sizes: tuple[int, ...], terminated: bool) -> None:
    for position, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        lowest = END if terminated and position else 0  # no ID is empty
        if len(column) and (int(column.max()) >= size or int(column.min()) < lowest):
            row = int(np.flatnonzero((column < lowest) | (column >= size))[0])
            raise SemanticIdError(
                f"a code is outside its codebook, in row {row}, position {position}",
                received=int(column[row]),
                remedy=f"use codes 0 to {size - 1} there, and -1 behind the end of a shorter ID",
            )
    if not terminated:
        return
    ended = [column == END for column in columns]
    gaps = np.zeros(len(columns[0]), dtype=bool)
    for before, here in pairwise(ended):
        gaps |= before & ~here
    if gaps.any():
        row = int(np.flatnonzero(gaps)[0])
        raise SemanticIdError(
            f"-1 stands behind the end of an ID only, but row {row} has a gap",
            received=str([int(column[row]) for column in columns]),
            remedy="give every ID its codes first, then -1 to the last position",
        )
