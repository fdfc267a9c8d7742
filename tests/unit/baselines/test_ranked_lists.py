"""Ranked lists out of dense scores: ties, short catalogs, chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genrec.baselines import ranked_lists as module
from genrec.baselines.catalog_rows import CatalogRows
from genrec.baselines.ranked_lists import best_columns, ranked_lists, with_back_off
from genrec.data import canonical_order
from genrec.errors import DataError

FEW_VALUES = st.sampled_from([-np.inf, -2.5, -1e-30, -0.0, 0.0, 1e-45, 0.5, 1.0, np.inf])


@given(
    scores=arrays(
        np.float32, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=FEW_VALUES.map(np.float32)
    ),
    data=st.data(),
)
def test_best_columns_are_those_of_a_stable_sort(scores: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, scores.shape[1]))
    for row, found in zip(scores.tolist(), best_columns(scores, k).tolist(), strict=True):
        assert (
            found == sorted(range(len(row)), key=lambda i: -row[i])[:k]
        )  # Python's sort keeps ties in order


def test_equal_scores_come_in_canonical_order_whatever_the_order_of_the_catalog() -> None:
    names = ["b", "a", "d", "c"]
    for order in (names, names[::-1]):
        items, _ = ranked_lists(CatalogRows(order), [["a"]], 4, lambda known: np.zeros((1, 4), np.float32))
        assert items[0].tolist() == canonical_order(names)


def test_a_list_longer_than_the_catalog_is_filled_up_with_blanks() -> None:
    items, scores = ranked_lists(
        CatalogRows("ab"), [[], []], 5, lambda known: np.ones((len(known), 2), np.float32)
    )
    assert items.shape == scores.shape == (2, 5)
    assert items[:, 2:].tolist() == [[""] * 3] * 2
    assert np.isneginf(scores[:, 2:]).all()
    assert (scores[:, :2] == 1).all()
    assert scores.dtype == np.float32


def test_chunks_see_the_histories_in_order_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = CatalogRows("abcdef")
    histories = [list("abcdef"[:length]) for length in (0, 3, 1, 6, 2)]

    def score(known: list[list[int]]) -> np.ndarray:
        return np.array([[len(rows) * (column + 1) % 7 for column in range(6)] for rows in known], np.float32)

    whole = ranked_lists(catalog, histories, 6, score)
    for chunk in (1, 2, 3):
        monkeypatch.setattr(module, "CELLS", chunk * len(catalog))
        parts = ranked_lists(catalog, histories, 6, score)
        assert parts[0].tolist() == whole[0].tolist()
        assert parts[1].tolist() == whole[1].tolist()


def test_no_histories_give_empty_arrays() -> None:
    items, scores = ranked_lists(CatalogRows("ab"), [], 3, lambda known: np.zeros((0, 2), np.float32))
    assert items.shape == scores.shape == (0, 3)


def test_the_back_off_stands_below_every_positive_score() -> None:
    scores = with_back_off(
        np.array([[0.0, 1e-30, 0.0]], np.float32), np.array([-0.5, -0.1, -1.0], np.float32)
    )
    assert best_columns(scores, 3).tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("k", [0, -1])
def test_a_list_without_a_place_is_refused(k: int) -> None:
    with pytest.raises(DataError, match="at least one item"):
        ranked_lists(CatalogRows("ab"), [[]], k, lambda known: np.zeros((1, 2), np.float32))


def test_an_empty_catalog_is_refused() -> None:
    with pytest.raises(DataError, match="no item to rank"):
        CatalogRows([])
