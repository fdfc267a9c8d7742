"""A trie as the dense and sparse tables that STATIC-style engines read (youtube/static-constraint-decoding).

Does not know token ids: codes of all positions share one alphabet there, as in the trie.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from genrec.catalog.catalog_trie import CatalogTrie
from genrec.errors import SemanticIdError


@dataclass(frozen=True)
class StaticIndex:
    """Transitions between states; a state is a prefix of IDs, 0 stands for a whole ID.

    A first code c leads to state c + 1; the states of longer prefixes follow from `codes + 1` on, level by
    level, in lexicographic order. Dense tables answer the first d codes, the rows of `packed_csr` all later
    ones: the transitions of state s are the rows `indptr[s] : indptr[s + 1]`.

    Attributes:
        packed_csr: int32 `[transitions + codes, 2]`, code and next state; the last `codes` rows are padding
            (code = `codes`, state 0) that fixed-size reads run into.
        indptr: int32 `[states + 2]`.
        layer_max_branches: int64 `[L]`, most codes that may follow a prefix of each length.
        start_mask: bool `[codes]`, codes that begin an ID.
        dense_mask: bool `[codes] * d`, sequences of d codes that begin an ID.
        dense_states: int32 `[codes] * d`, the states they lead to.
    """

    packed_csr: np.ndarray
    indptr: np.ndarray
    layer_max_branches: np.ndarray
    start_mask: np.ndarray
    dense_mask: np.ndarray
    dense_states: np.ndarray

    @classmethod
    def of(cls, trie: CatalogTrie, *, dense_levels: int = 2, num_codes: int | None = None) -> StaticIndex:
        """Converts a trie.

        Args:
            trie: IDs of at least 2 codes; a terminator, where IDs have one, is a code as any other.
            dense_levels: Codes answered by dense tables, d; they hold `num_codes ** d` entries.
            num_codes: Size of the alphabet; None = the largest position's.

        Raises:
            SemanticIdError: An alphabet smaller than a position's, or dense levels that are not fewer than
                the ID's.
        """
        needed = max(trie.level_sizes)
        codes = needed if num_codes is None else num_codes
        if codes < needed or not 1 <= dense_levels < trie.length:
            raise SemanticIdError(
                "the trie does not fit the index that was asked for",
                received=f"{codes} codes, {dense_levels} dense levels for IDs of {trie.length} codes "
                f"below {needed}",
                remedy=f"use at least {needed} codes, and 1 to {trie.length - 1} dense levels",
            )
        states = _states(trie, codes)
        rows, counts = [], [np.zeros(codes + 1, dtype=np.int64)]
        counts[0][states[0]] = np.diff(trie.indptr[1])
        for level in range(1, trie.length):
            rows.append(np.stack([trie.codes[level].astype(np.int32), states[level]], axis=1))
            if level + 1 < trie.length:
                counts.append(np.diff(trie.indptr[level + 1]))
        padding = np.stack([np.full(codes, codes, dtype=np.int32), np.zeros(codes, dtype=np.int32)], axis=1)
        ends = np.cumsum(np.concatenate([[0], *counts]))
        start_mask = np.zeros(codes, dtype=bool)
        start_mask[trie.codes[0]] = True
        dense_mask = np.zeros((codes,) * dense_levels, dtype=bool)
        dense_states = np.zeros(dense_mask.shape, dtype=np.int32)
        paths = _paths(trie, dense_levels)
        dense_mask[paths] = True
        dense_states[paths] = states[dense_levels - 1]
        return cls(
            np.ascontiguousarray(np.concatenate([*rows, padding])),
            np.append(ends, ends[-1] + codes).astype(np.int32),
            np.array([int(np.diff(indptr).max(initial=0)) for indptr in trie.indptr]),
            start_mask,
            dense_mask,
            dense_states,
        )

    def save(self, path: str | Path) -> None:
        """Writes one `.npz` file with an array for each attribute; it appears whole or not at all."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with temporary.open("wb") as stream:
                np.savez(stream, **asdict(self))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _states(trie: CatalogTrie, codes: int) -> list[np.ndarray]:
    """State of every node, int32 `[nodes]` a level."""
    found = [trie.codes[0].astype(np.int32) + 1]
    first = codes + 1
    for level in range(1, trie.length - 1):
        nodes = len(trie.codes[level])
        found.append(np.arange(first, first + nodes, dtype=np.int32))
        first += nodes
    return [*found, np.zeros(trie.num_items, dtype=np.int32)]


def _paths(trie: CatalogTrie, levels: int) -> tuple[np.ndarray, ...]:
    """Codes of the path to every node of a level, one array a position."""
    found = []
    for level in range(levels):
        bounds = np.arange(len(trie.codes[level]) + 1)
        for indptr in trie.indptr[level + 1 : levels]:
            bounds = indptr[bounds]
        found.append(np.repeat(trie.codes[level], np.diff(bounds)).astype(np.intp))
    return tuple(found)
