"""Popularity and its order as a back-off."""

from __future__ import annotations

from collections import Counter

import numpy as np

from genrec.baselines import Popularity
from genrec.baselines.popularity import popularity_back_off
from genrec.data import InteractionLog, canonical_order


def test_counts_order_the_list_and_ties_are_canonical(
    train: InteractionLog, train_histories: list[list[str]], item_ids: list[str]
) -> None:
    counts = Counter(item for history in train_histories for item in history)
    expected = sorted(canonical_order(item_ids), key=lambda item: -counts[item])
    items, scores = Popularity(train, item_ids).rank([[], [item_ids[0]]], 40)
    assert items[0].tolist() == items[1].tolist() == expected
    assert scores[0].tolist() == [counts[item] for item in expected]


def test_items_outside_the_catalog_are_not_listed(train: InteractionLog, item_ids: list[str]) -> None:
    items, _ = Popularity(train, item_ids[:5]).rank([[]], 10)
    assert set(items[0]) == {*item_ids[:5], ""}


def test_an_item_never_bought_comes_last(train: InteractionLog, item_ids: list[str]) -> None:
    items, scores = Popularity(train, [*item_ids, "new"]).rank([[]], 41)
    assert items[0, -1] == "new"
    assert scores[0, -1] == 0


def test_the_back_off_keeps_the_order_and_stays_below_zero() -> None:
    counts = np.array([3, 0, 7, 3])
    back_off = popularity_back_off(counts)
    assert np.argsort(-back_off, kind="stable").tolist() == [2, 0, 3, 1]
    assert (back_off < 0).all()
    assert (back_off >= -1).all()
