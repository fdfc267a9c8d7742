"""The trie holds exactly the IDs it was built from."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.catalog import CatalogTrie, TrieFilter
from genrec.errors import SemanticIdError

sizes_and_ids = st.lists(st.integers(1, 5), min_size=1, max_size=4).flatmap(
    lambda sizes: st.tuples(
        st.just(tuple(sizes)),
        st.lists(
            st.tuples(*(st.integers(0, size - 1) for size in sizes)), min_size=1, max_size=40, unique=True
        ),
    )
)


def paths(trie: CatalogTrie) -> dict[tuple[int, ...], int]:
    """Every path from the root to a leaf, with the leaf's row, by walking the arrays."""
    level: list[tuple[tuple[int, ...], int]] = [((), 0)]
    for codes, indptr in zip(trie.codes, trie.indptr, strict=True):
        level = [
            ((*path, int(codes[child])), child)
            for path, node in level
            for child in range(indptr[node], indptr[node + 1])
        ]
    return {path: int(trie.rows[leaf]) for path, leaf in level}


@given(sizes_and_ids)
def test_the_trie_is_the_set_of_ids(case: tuple[tuple[int, ...], list[tuple[int, ...]]]) -> None:
    sizes, ids = case
    trie = CatalogTrie.from_codes(np.array(ids), sizes)
    assert paths(trie) == {path: row for row, path in enumerate(ids)}
    for candidate in itertools.product(*(range(size) for size in sizes)):
        assert trie.row_of(candidate) == (ids.index(candidate) if candidate in ids else -1)
    assert (trie.num_items, trie.length) == (len(ids), len(sizes))


def test_children_are_sorted_and_arrays_are_small() -> None:
    trie = CatalogTrie.from_codes(np.array([[2, 299], [0, 5], [2, 1]]), (256, 300))
    assert [codes.dtype for codes in trie.codes] == [np.uint8, np.uint16]
    assert trie.codes[1].tolist() == [5, 1, 299]
    assert trie.rows.tolist() == [1, 2, 0]
    assert {array.dtype for array in (*trie.indptr, trie.rows)} == {np.dtype(np.int32)}


def test_a_path_of_another_length_leads_nowhere() -> None:
    trie = CatalogTrie.from_codes(np.array([[1, 2]]), (4, 4))
    assert trie.row_of([1]) == trie.row_of([1, 2, 0]) == -1


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (np.array([[1, 2], [0, 0], [1, 2]]), "share one Semantic ID"),
        (np.array([[1, 4]]), "outside its codebook, in row 0, position 1"),
        (np.array([[1, 2], [-1, 2]]), "in row 1, position 0"),
        (np.array([[1, 2, 3]]), "do not fit the spec"),
        (np.array([[1.0, 2.0]]), "do not fit the spec"),
        (np.array([1, 2]), "do not fit the spec"),
        (np.array([[1, 5], [2, -1]]), "outside its codebook, in row 0, position 1"),
        (np.array([[1, -2], [2, -1]]), "outside its codebook, in row 0, position 1"),
    ],
)
def test_codes_that_are_no_catalog_are_refused(codes: np.ndarray, expected: str) -> None:
    with pytest.raises(SemanticIdError, match=expected):
        CatalogTrie.from_codes(codes, (4, 4))


def test_the_error_names_the_two_rows() -> None:
    with pytest.raises(SemanticIdError, match="rows 0 and 2"):
        CatalogTrie.from_codes(np.array([[1, 2], [0, 0], [1, 2]]), (4, 4))


uneven_ids = st.lists(st.integers(1, 5), min_size=1, max_size=4).flatmap(
    lambda sizes: st.tuples(
        st.just(tuple(sizes)),
        st.lists(
            st.integers(1, len(sizes)).flatmap(
                lambda n: st.tuples(*(st.integers(0, size - 1) for size in sizes[:n]))
            ),
            min_size=1,
            max_size=40,
            unique=True,
        ),
    )
)


def padded(ids: list[tuple[int, ...]], length: int) -> np.ndarray:
    return np.array([[*path, *[-1] * (length - len(path))] for path in ids])


@given(uneven_ids)
def test_shorter_ids_end_in_a_terminator(case: tuple[tuple[int, ...], list[tuple[int, ...]]]) -> None:
    sizes, ids = case
    trie = CatalogTrie.from_codes(padded(ids, len(sizes)), sizes)
    uneven = any(len(path) < len(sizes) for path in ids)
    assert trie.terminated == uneven
    assert trie.length == len(sizes) + uneven == len(trie.level_sizes)
    ended = [*sizes, 0]
    spelled = [path + tuple(ended[len(path) : trie.length]) for path in ids]
    assert paths(trie) == {path: row for row, path in enumerate(spelled)}
    assert np.array_equal(trie.leaf_codes()[np.argsort(trie.rows)], padded(ids, len(sizes)))
    for candidate in itertools.product(*(range(-1, size + 1) for size in sizes)):
        real = tuple(code for code in candidate if code >= 0)
        whole = candidate == tuple(padded([real], len(sizes))[0]) and real in ids
        assert trie.row_of(candidate) == (ids.index(real) if whole else -1)


def same(one: CatalogTrie, other: CatalogTrie) -> bool:
    """Equal arrays, types included."""
    arrays = [(*trie.codes, *trie.indptr, trie.rows) for trie in (one, other)]
    equal = [np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(*arrays, strict=True)]
    return all(equal) and (one.codebook_sizes, one.terminated) == (other.codebook_sizes, other.terminated)


@given(uneven_ids, st.randoms(use_true_random=False))
def test_items_added_and_taken_away_leave_the_trie_of_the_rest(case: Any, random: Any) -> None:
    sizes, ids = case
    codes, rows = padded(ids, len(sizes)), np.array(random.sample(range(100), len(ids)))
    first = random.randrange(len(ids))
    begun = CatalogTrie.from_codes(codes[:first], sizes, rows[:first])
    grown = begun.with_items(codes[first:], rows[first:])
    assert same(grown, CatalogTrie.from_codes(codes, sizes, rows))
    assert begun.num_items == first  # the old one is what it was
    gone = random.sample(rows.tolist(), random.randrange(len(ids)))
    left = grown.without_items(np.array([*gone, 1000]))
    kept = ~np.isin(rows, gone)
    assert {tuple(c): r for c, r in zip(left.leaf_codes().tolist(), left.rows.tolist(), strict=True)} == {
        tuple(c): r for c, r in zip(codes[kept].tolist(), rows[kept].tolist(), strict=True)
    }
    assert same(left.with_items(codes[~kept], rows[~kept]), grown)
    assert all(grown.leaf_of_row[row] == leaf for leaf, row in enumerate(grown.rows))


def test_rows_that_clash_are_refused() -> None:
    trie = CatalogTrie.from_codes(np.array([[1, 2], [0, 0]]), (4, 4), np.array([7, 3]))
    assert (trie.row_of([1, 2]), trie.num_rows) == (7, 8)
    for rows in (np.array([3]), np.array([-1]), np.array([0.0]), np.array([1, 2])):
        with pytest.raises(SemanticIdError, match="a catalog row of its own"):
            trie.with_items(np.array([[3, 3]]), rows)
    with pytest.raises(SemanticIdError, match="rows 5 and 7, codes"):
        trie.with_items(np.array([[1, 2]]), np.array([5]))


@pytest.mark.parametrize("length", [1, 3, 9])
def test_ids_too_wide_for_one_number_are_sorted_all_the_same(length: int) -> None:
    sizes = (1 << 20,) * length
    codes = np.random.default_rng(0).integers(1 << 20, size=(50, length))
    trie = CatalogTrie.from_codes(codes, sizes)
    assert trie.rows.tolist() == sorted(range(50), key=lambda row: tuple(codes[row]))
    assert trie.codes[0].dtype == np.int32


@given(uneven_ids, st.randoms(use_true_random=False))
def test_a_filter_counts_the_allowed_leaves_below_every_node(case: Any, random: Any) -> None:
    sizes, ids = case
    trie = CatalogTrie.from_codes(padded(ids, len(sizes)), sizes)
    mask = np.array([random.random() < 0.5 for _ in ids])
    chosen = trie.restrict(mask)
    assert chosen.num_allowed == mask.sum()
    assert len(chosen.leaves) <= len(ids) / 2  # the shorter list
    assert chosen.allows(np.arange(len(ids))).tolist() == mask[trie.rows].tolist()
    assert chosen.mask().tolist() == mask[trie.rows].tolist()
    some = np.array([[random.randrange(len(ids)) for _ in range(3)] for _ in range(2)])
    assert chosen.allows(some).tolist() == mask[trie.rows][some].tolist()
    values = np.array([random.choice([-np.inf, -1.5, 0.0, 2.0]) for _ in ids])
    bonus = trie.bonus(values)
    for level in range(trie.length):
        bounds = trie.first_leaves(level)
        below = [trie.rows[a:b] for a, b in itertools.pairwise(bounds)]
        assert chosen.counts(bounds).tolist() == [int(mask[rows].sum()) for rows in below]
        assert bonus.most[level].tolist() == [values[rows].max() for rows in below]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_asking_for_a_few_leaves_does_not_go_through_the_filter(dtype: Any) -> None:
    chosen = TrieFilter.of_leaves(np.arange(200_000) % 2 == 0)
    assert chosen.leaves.nbytes == 400_000
    few = np.array([3, 199_998, 0], dtype=dtype)
    tracemalloc.start()
    try:
        found = chosen.allows(few)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.tolist() == [False, True, True]
    assert most < 20_000  # bytes: nothing of the list's length was made
    nothing = TrieFilter.of_leaves(np.zeros(4, dtype=bool))
    assert nothing.allows(np.arange(4)).tolist() == nothing.mask().tolist() == [False] * 4


def test_filters_and_bonuses_that_do_not_fit_are_refused() -> None:
    trie = CatalogTrie.from_codes(np.array([[1, 2], [0, 0]]), (4, 4), np.array([7, 3]))
    for mask in (np.ones(7, dtype=bool), np.ones(8), np.ones((8, 1), dtype=bool)):
        with pytest.raises(SemanticIdError, match="one bool for each catalog row"):
            trie.restrict(mask)
    for values in (np.zeros(7), np.full(8, np.nan), np.full(8, np.inf), np.full(8, 1e39), np.full(8, "a")):
        with pytest.raises(SemanticIdError, match="one number for each catalog row"):
            trie.bonus(values)
