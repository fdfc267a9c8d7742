"""The extra position that breaks ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.errors import SemanticIdError
from genrec.semantic_ids import resolve_extra_code

codes_strategy = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=20)


def test_items_of_one_id_are_counted_in_their_order() -> None:
    codes = np.array([[1, 1], [0, 2], [1, 1], [1, 1]], dtype=np.int32)
    assert resolve_extra_code(codes, 4).tolist() == [[1, 1, 0], [0, 2, 0], [1, 1, 1], [1, 1, 2]]


@given(codes_strategy)
def test_ids_are_unique_and_keep_their_codes(rows: list[tuple[int, int]]) -> None:
    codes = np.array(rows, dtype=np.int32).reshape(-1, 2)
    resolved = resolve_extra_code(codes, 20)
    assert resolved.dtype == np.int32
    np.testing.assert_array_equal(resolved[:, :2], codes)
    assert len({tuple(row) for row in resolved.tolist()}) == len(codes)


@given(
    codes_strategy, st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 30)), max_size=8)
)
def test_taken_codes_are_left_alone_and_gaps_are_filled(
    rows: list[tuple[int, int]], taken: set[tuple[int, int, int]]
) -> None:
    codes = np.array(rows, dtype=np.int32).reshape(-1, 2)
    resolved = resolve_extra_code(codes, 31, np.array(sorted(taken), dtype=np.int32).reshape(-1, 3))
    given_out = {tuple(row) for row in resolved.tolist()}
    assert len(given_out) == len(codes)
    assert not given_out & taken
    for a, b, extra in given_out:
        lower = {(a, b, code) for code in range(extra)}
        assert lower <= given_out | taken


def test_overflow_names_the_other_policy() -> None:
    codes = np.zeros((3, 2), dtype=np.int32)
    with pytest.raises(SemanticIdError, match="3 items share one Semantic ID") as caught:
        resolve_extra_code(codes, 2)
    assert "matching" in str(caught.value.remedy)


def test_overflow_counts_taken_ids() -> None:
    with pytest.raises(SemanticIdError):
        resolve_extra_code(np.zeros((1, 1), np.int32), 2, np.array([[0, 0], [0, 1]], np.int32))


def test_taken_ids_may_be_named_twice() -> None:
    taken = np.array([[0, 1], [0, 1], [0, 1]], np.int32)
    assert resolve_extra_code(np.array([[0]], np.int32), 2, taken).tolist() == [[0, 0]]


def test_a_full_id_that_no_new_item_has_is_no_overflow() -> None:
    taken = np.array([[0, 0], [0, 1]], np.int32)
    assert resolve_extra_code(np.array([[1]], np.int32), 2, taken).tolist() == [[1, 0]]
