"""The trie holds exactly the IDs it was built from."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.catalog import CatalogTrie
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
    ],
)
def test_codes_that_are_no_catalog_are_refused(codes: np.ndarray, expected: str) -> None:
    with pytest.raises(SemanticIdError, match=expected):
        CatalogTrie.from_codes(codes, (4, 4))


def test_the_error_names_the_two_rows() -> None:
    with pytest.raises(SemanticIdError, match="rows 0 and 2"):
        CatalogTrie.from_codes(np.array([[1, 2], [0, 0], [1, 2]]), (4, 4))
