"""The trie of a catalog's Semantic IDs as flat arrays over codes.

Does not know items, token ids or logits: a leaf is a row number of the catalog it was built from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from genrec.catalog.trie_building import sort_columns, sorted_ids
from genrec.catalog.trie_files import open_trie, save_trie
from genrec.catalog.trie_filter import ItemBonus, TrieFilter
from genrec.errors import SemanticIdError
from genrec.semantic_ids import END, SemanticIdSpec


@dataclass(frozen=True)
class CatalogTrie:
    """Compressed sparse rows, one level per position of the ID.

    A node is a row number of its level, in lexicographic order of its path; the root is node 0 above level 0.
    The children of node i of the level above `level` are the nodes `indptr[level][i] : indptr[level][i + 1]`
    of `level`. Nothing in it ever changes, so any number of threads may share one.

    IDs of unequal length (`terminated`) end in a terminator: at position p it is the code
    `codebook_sizes[p]`, one above the codebook's own. Every ID of such a trie has one, the longest too, so
    there is a level more than positions; below a terminator the path goes on with terminators, one child a
    level, down to the leaf.

    Attributes:
        codebook_sizes: Sizes of the ID's positions.
        codes: One array per level: the last code of each node's path (uint8, uint16 or int32, as the size
            needs).
        indptr: One int32 array per level, of as many entries as the level above has nodes, plus one.
        rows: int32 `[n]`, catalog row of each leaf, leaves in lexicographic order of their IDs.
        terminated: Whether the IDs end in a terminator.
    """

    codebook_sizes: tuple[int, ...]
    codes: tuple[np.ndarray, ...]
    indptr: tuple[np.ndarray, ...]
    rows: np.ndarray
    terminated: bool = False

    @classmethod
    def from_codes(
        cls,
        codes: np.ndarray,
        codebook_sizes: Sequence[int],
        rows: np.ndarray | None = None,
        *,
        terminated: bool = False,
    ) -> CatalogTrie:
        """Builds the trie of distinct IDs.

        Args:
            codes: int `[n, L]`, one Semantic ID a row; -1 behind the end of an ID shorter than L.
            codebook_sizes: Sizes of the L positions.
            rows: int `[n]`, catalog row of each ID, distinct; None = its place in `codes`.
            terminated: Give the IDs terminators even if none is shorter than L.

        Raises:
            SemanticIdError: Another shape, a code outside its codebook, an ID that stands in two rows, an
                empty ID or one with a gap, or rows that are not distinct.
        """
        sizes = tuple(int(size) for size in codebook_sizes)
        columns, order, terminated = sorted_ids(np.asarray(codes), sizes, terminated=terminated)
        if rows is not None:
            order = _checked_rows(np.asarray(rows), len(order))[order]
        return cls._of_sorted(sizes, columns, order, terminated)

    @classmethod
    def _of_sorted(
        cls, sizes: tuple[int, ...], columns: Sequence[np.ndarray], rows: np.ndarray, terminated: bool
    ) -> CatalogTrie:
        """From the codes of every level, one array `[n]` each, leaves in lexicographic order."""
        opens = np.zeros(len(rows), dtype=bool)  # leaves at which a new node of the level begins
        opens[:1] = True
        above = np.flatnonzero(opens[:1])  # first leaf of each node of the level above: the root's
        level_codes, level_indptr = [], []
        for column in columns:
            opens[1:] |= column[1:] != column[:-1]
            first = np.flatnonzero(opens)  # first leaf of each node of this level
            level_codes.append(np.ascontiguousarray(column[first]))
            node = np.cumsum(opens, dtype=np.int32)  # number of the leaf's node, plus one
            level_indptr.append(np.append(node[above] - 1, len(first)).astype(np.int32))
            above = first
        if len(above) != len(rows):
            shared = int(np.flatnonzero(~opens)[0])
            pair = sorted((int(rows[shared - 1]), int(rows[shared])))
            raise SemanticIdError(
                "two items share one Semantic ID",
                received=f"rows {pair[0]} and {pair[1]}, codes {[int(c[shared]) for c in columns]}",
                remedy="resolve collisions first, with the policy `matching` or `extra_code`",
            )
        return cls(sizes, tuple(level_codes), tuple(level_indptr), rows, terminated)

    @property
    def length(self) -> int:
        """Levels: the codes of an ID, its terminator included."""
        return len(self.codes)

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Codes that may stand at each level, the terminator included."""
        if not self.terminated:
            return self.codebook_sizes
        return (*(size + 1 for size in self.codebook_sizes), 1)

    @property
    def num_items(self) -> int:
        """Leaves."""
        return len(self.rows)

    @cached_property
    def num_rows(self) -> int:
        """One more than the highest catalog row."""
        return int(self.rows.max(initial=-1)) + 1

    @property
    def num_bytes(self) -> int:
        """Bytes of all arrays, rows included."""
        return sum(array.nbytes for array in (*self.codes, *self.indptr, self.rows))

    def row_of(self, codes: Sequence[int]) -> int:
        """Catalog row of a whole ID (without its terminator, -1 behind its end), -1 where no item has it."""
        path = [int(code) for code in codes]
        if self.terminated:
            ended = path.index(END) if END in path else len(path)
            given, sizes = path[:ended], (*self.codebook_sizes, 0)
            if ended >= len(sizes) or any(code != END for code in path[ended:]):
                return -1
            if any(code >= size for code, size in zip(given, sizes, strict=False)):
                return -1  # a terminator is not to be spelled out
            path = given + list(sizes[ended:])
        if len(path) != self.length:
            return -1
        node = 0
        for level, code in enumerate(path):
            start, end = int(self.indptr[level][node]), int(self.indptr[level][node + 1])
            node = start + int(np.searchsorted(self.codes[level][start:end], code))
            if node == end or int(self.codes[level][node]) != code:
                return -1
        return int(self.rows[node])

    @cached_property
    def leaf_of_row(self) -> np.ndarray:
        """Leaf of each catalog row, int32 `[num_rows]`, -1 for rows without an ID; made when first asked."""
        leaves = np.full(self.num_rows, -1, dtype=np.int32)
        leaves[self.rows] = np.arange(self.num_items, dtype=np.int32)
        return leaves

    def first_leaves(self, level: int) -> np.ndarray:
        """First leaf below each node of a level, and the number of leaves at the end: int `[nodes + 1]`."""
        bounds = np.arange(len(self.codes[level]) + 1, dtype=np.int32)
        for indptr in self.indptr[level + 1 :]:
            bounds = indptr[bounds]
        return bounds

    def leaf_codes(self) -> np.ndarray:
        """Semantic ID of every leaf, int32 `[n, L]`; -1 behind the end of a shorter one."""
        found = np.empty((self.num_items, len(self.codebook_sizes)), dtype=np.int32)
        for level, column in enumerate(self._columns()[: found.shape[1]]):
            found[:, level] = column
            if self.terminated:
                found[column == self.codebook_sizes[level], level] = END
        return found

    def level_codes(self, codes: np.ndarray) -> np.ndarray:
        """IDs `[n, L]` as its levels spell them, terminators included: int32 `[n, levels]`."""
        if not self.terminated:
            return np.asarray(codes, dtype=np.int32)
        spelled = np.where(codes == END, self.codebook_sizes, codes)
        return np.pad(spelled, ((0, 0), (0, 1))).astype(np.int32)

    def _columns(self) -> list[np.ndarray]:
        """Code of every leaf's path at each level."""
        return [
            np.repeat(self.codes[level], np.diff(self.first_leaves(level))) for level in range(self.length)
        ]

    def with_items(self, codes: np.ndarray, rows: np.ndarray) -> CatalogTrie:
        """The trie with more IDs.

        Args:
            codes: int `[m, L]`, as `from_codes` takes them.
            rows: int `[m]`, their catalog rows, none of which is here.

        Raises:
            SemanticIdError: What `from_codes` raises; an ID or a row that is here already.
        """
        sizes = self.codebook_sizes
        added, order, terminated = sorted_ids(np.asarray(codes), sizes, terminated=self.terminated)
        new_rows = np.asarray(rows)[order] if len(rows) == len(order) else np.asarray(rows)
        numbers = np.concatenate([self.rows, new_rows])
        numbers = _checked_rows(numbers, self.num_items + len(order))
        if terminated != self.terminated:  # the first short ID: every ID gets a terminator
            together = np.concatenate([self.leaf_codes(), np.asarray(codes, dtype=np.int32)[order]])
            return CatalogTrie.from_codes(together, sizes, numbers)
        columns = [np.concatenate(pair) for pair in zip(self._columns(), added, strict=True)]
        columns, order = sort_columns(columns, self.level_sizes)
        return self._of_sorted(sizes, columns, numbers[order], terminated)

    def without_items(self, rows: np.ndarray) -> CatalogTrie:
        """The trie without some catalog rows; those that are not here count for nothing.

        Levels stay as they are, so a terminated trie is a terminated one still.
        """
        kept = ~np.isin(self.rows, np.asarray(rows))
        columns = [column[kept] for column in self._columns()]
        return self._of_sorted(self.codebook_sizes, columns, self.rows[kept], self.terminated)

    def restrict(self, mask: np.ndarray) -> TrieFilter:
        """A request's filter: the items it may return.

        Args:
            mask: bool over catalog rows, at least `[num_rows]`; True = allowed.

        Raises:
            SemanticIdError: Another type, or too short.
        """
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.ndim != 1 or len(mask) < self.num_rows:
            raise SemanticIdError(
                "a filter is one bool for each catalog row",
                received=f"{mask.dtype} array of shape {mask.shape} for {self.num_rows} rows",
                remedy="pass a bool array of as many entries as the catalog has rows",
            )
        return TrieFilter.of_leaves(mask[self.rows])

    def bonus(self, values: np.ndarray) -> ItemBonus:
        """A bonus or penalty for every item, made ready for searches.

        Args:
            values: float over catalog rows, at least `[num_rows]`, in nats; minus infinity closes an item.

        Raises:
            SemanticIdError: Another type, too short, or a value that is nan or plus infinity.
        """
        values = np.asarray(values)
        wrong = values.dtype.kind not in "fiu" or values.ndim != 1 or len(values) < self.num_rows
        with np.errstate(over="ignore"):  # what is beyond float32's range is infinite there
            own = None if wrong else values[self.rows].astype(np.float32)
        if own is None or not (own < np.inf).all():
            raise SemanticIdError(
                "a bonus is one number for each catalog row, below infinity",
                received=f"{values.dtype} array of shape {values.shape} for {self.num_rows} rows",
                remedy="pass a float array of as many entries as the catalog has rows",
            )
        return ItemBonus.of_leaves(own, self.indptr)

    def save(self, folder: str | Path) -> None:
        """Writes one folder that `load` maps into memory; the format stands in `docs/formats/trie.md`."""
        save_trie(folder, self.codebook_sizes, self.codes, self.indptr, self.rows, self.terminated)

    @classmethod
    def load(cls, folder: str | Path, *, verify: bool = False) -> CatalogTrie:
        """Maps what `save` wrote into memory; processes that load one folder share its pages.

        Args:
            folder: What `save` wrote.
            verify: Read and hash every file first, against the manifest.

        Raises:
            ArtifactError: A missing or changed file, another kind of folder, arrays that do not fit each
                other.
        """
        return cls(*open_trie(folder, verify=verify))


def trie_of(codes: np.ndarray, spec: SemanticIdSpec) -> CatalogTrie:
    """The trie of a catalog's IDs ``[n, L]``.

    Raises:
        SemanticIdError: What `CatalogTrie.from_codes` raises; a shorter ID where the spec has none.
    """
    trie = CatalogTrie.from_codes(codes, spec.codebook_sizes, terminated=spec.terminated)
    if trie.terminated != spec.terminated:
        raise SemanticIdError(
            "IDs of unequal length in a catalog whose spec has none",
            received=f"-1 behind an ID, {spec}",
            remedy="make the spec with terminated=True",
        )
    return trie


def _checked_rows(rows: np.ndarray, count: int) -> np.ndarray:
    whole = rows.dtype.kind in "iu" and rows.shape == (count,)
    ordered = np.sort(rows) if whole else rows
    if not whole or rows.min(initial=0) < 0 or (ordered[1:] == ordered[:-1]).any():
        raise SemanticIdError(
            "every ID needs a catalog row of its own",
            received=f"{rows.dtype} array of shape {rows.shape} for {count} IDs",
            remedy="pass distinct row numbers, from 0",
        )
    return rows.astype(np.int32)
