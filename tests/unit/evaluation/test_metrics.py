"""Metrics of lists against the definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.evaluation.metrics import list_metrics, repeated


def written_out(row: list[int], target: int, ks: list[int]) -> dict[str, float]:
    values = {}
    for k in ks:
        place = next((i for i, item in enumerate(row[:k]) if item == target), None)
        values[f"recall@{k}"] = 0.0 if place is None else 1.0
        values[f"ndcg@{k}"] = 0.0 if place is None else 1 / math.log2(place + 2)
        values[f"mrr@{k}"] = 0.0 if place is None else 1 / (place + 1)
    return {
        name: value
        for name, value in values.items()
        if not name.startswith("mrr") or name == f"mrr@{max(ks)}"
    }


@given(data=st.data())
def test_values_are_those_of_the_definitions(data: st.DataObject) -> None:
    n, slots = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 14))
    ks = data.draw(st.lists(st.integers(1, slots), min_size=1, max_size=3, unique=True))
    # -1 blank, -2 not in the catalog; few items, so that lists repeat them
    item = st.integers(-2, 8)
    rows = data.draw(st.lists(st.lists(item, min_size=slots, max_size=slots), min_size=n, max_size=n))
    targets = data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    found = list_metrics(np.array(rows), np.array(targets), ks)
    expected = [written_out(row, target, ks) for row, target in zip(rows, targets, strict=True)]
    assert set(found) == set(expected[0])
    for name, values in found.items():
        assert values.tolist() == pytest.approx([row[name] for row in expected], abs=1e-6)


def test_every_value_stands_at_its_own_list_beyond_nine_lists() -> None:
    # query ids as text sort 0, 1, 10, 11, 2: values must not follow that order
    lists = np.arange(25)[:, None] * 100 + np.arange(30)[None, :]
    targets = lists[np.arange(25), np.arange(25)]
    found = list_metrics(lists, targets, [30])
    np.testing.assert_allclose(found["mrr@30"], 1 / np.arange(1, 26), rtol=1e-6)


def test_long_lists_keep_their_order() -> None:
    lists = np.arange(2000)[None, :]
    found = list_metrics(lists, np.array([1999]), [2000])
    assert found["mrr@2000"][0] == pytest.approx(1 / 2000, rel=1e-4)


def test_metrics_come_in_the_order_of_the_tables() -> None:
    names = list(list_metrics(np.array([[0]]), np.array([0]), [5, 10]))
    assert names == ["recall@5", "ndcg@5", "recall@10", "ndcg@10", "mrr@10"]


def test_no_list_gives_no_value() -> None:
    found = list_metrics(np.zeros((0, 5), dtype=np.int64), np.zeros(0, dtype=np.int64), [5])
    assert {name: len(values) for name, values in found.items()} == {"recall@5": 0, "ndcg@5": 0, "mrr@5": 0}


@given(st.lists(st.lists(st.integers(-2, 4), min_size=7, max_size=7), min_size=1, max_size=5))
def test_a_repeat_is_an_item_that_stood_further_up(rows: list[list[int]]) -> None:
    expected = [[item >= 0 and item in row[:i] for i, item in enumerate(row)] for row in rows]
    assert repeated(np.array(rows)).tolist() == expected
