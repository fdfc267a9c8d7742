"""Item-kNN against the formula written out, and its corners."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from genrec.baselines import ItemKNN, Popularity
from genrec.data import InteractionLog, canonical_order
from genrec.errors import DataError


def written_out(
    histories: list[list[str]], query: list[str], items: list[str], decay: float, shrinkage: float, own: float
) -> list[float]:
    had = {item: {u for u, history in enumerate(histories) if item in history} for item in items}

    def similarity(i: str, j: str) -> float:
        if i == j:
            return own if had[i] else 0.0
        if not had[i] or not had[j]:
            return 0.0
        return len(had[i] & had[j]) / (math.sqrt(len(had[i]) * len(had[j])) + shrinkage)

    known = [item for item in query if item in had]
    return [sum(decay**age * similarity(i, j) for age, j in enumerate(reversed(known))) for i in items]


@pytest.mark.parametrize(
    ("decay", "shrinkage", "own"), [(0.6, 20.0, 0.0), (0.3, 0.0, 1.0), (1.0, 5.0, 0.1), (0.8, 0.0, 0.0)]
)
def test_scores_are_those_of_the_formula(
    train: InteractionLog,
    train_histories: list[list[str]],
    queries: list[list[str]],
    item_ids: list[str],
    decay: float,
    shrinkage: float,
    own: float,
) -> None:
    catalog = [*item_ids, "never bought"]
    ranker = ItemKNN(train, catalog, decay=decay, shrinkage=shrinkage, self_similarity=own)
    items, scores = ranker.rank(queries, len(catalog))
    for i, query in enumerate(queries):
        expected = dict(
            zip(catalog, written_out(train_histories, query, catalog, decay, shrinkage, own), strict=True)
        )
        assert sorted(items[i]) == sorted(catalog)
        for item, score in zip(items[i], scores[i], strict=True):
            if expected[item] > 0:
                assert score == pytest.approx(expected[item], rel=1e-5)
            else:
                assert score < 0
        assert (np.diff(scores[i]) <= 0).all()


def test_without_a_known_item_the_order_is_that_of_popularity(
    train: InteractionLog, item_ids: list[str]
) -> None:
    popular, _ = Popularity(train, item_ids).rank([[]], 40)
    items, _ = ItemKNN(train, item_ids).rank([[], ["gone"]], 40)
    assert items[0].tolist() == items[1].tolist() == popular[0].tolist()


def test_items_that_never_met_the_history_follow_by_popularity() -> None:
    rows = [("u", "a"), ("u", "b"), ("v", "c"), ("w", "d"), ("x", "d")]
    log = InteractionLog.from_rows(
        [{"user_id": user, "item_id": item, "timestamp": time} for time, (user, item) in enumerate(rows)]
    )
    items, _ = ItemKNN(log, list("abcd")).rank([["a"]], 4)
    rest = ["d", *[item for item in canonical_order("abc") if item != "b"]]
    assert items[0].tolist() == ["b", *rest]


def test_the_history_is_not_masked(train: InteractionLog, item_ids: list[str]) -> None:
    items, _ = ItemKNN(train, item_ids, self_similarity=1.0).rank([[item_ids[3]]], 1)
    assert items[0, 0] == item_ids[3]


def test_the_order_of_users_and_of_the_catalog_changes_nothing(
    train_histories: list[list[str]], queries: list[list[str]], item_ids: list[str]
) -> None:
    def log(order: list[int]) -> InteractionLog:
        return InteractionLog.from_rows(
            [
                {"user_id": f"u{user}", "item_id": item, "timestamp": time}
                for user in order
                for time, item in enumerate(train_histories[user])
            ]
        )

    users = list(range(len(train_histories)))
    one = ItemKNN(log(users), item_ids).rank(queries, 40)
    other = ItemKNN(log(users[::-1]), item_ids[::-1]).rank(queries, 40)
    assert one[0].tolist() == other[0].tolist()
    assert one[1].tolist() == other[1].tolist()


def test_only_the_nearest_neighbours_are_kept(train: InteractionLog, item_ids: list[str]) -> None:
    full, few = ItemKNN(train, item_ids), ItemKNN(train, item_ids, neighbours=3)
    for row in range(40):
        whole = full.similarity[[row]].toarray()[0]
        kept = few.similarity[[row]].toarray()[0]
        columns = sorted(range(40), key=lambda column: -whole[column])[:3]
        expected = np.zeros(40, dtype=np.float32)
        expected[columns] = whole[columns]
        assert kept.tolist() == expected.tolist()


def test_all_neighbours_are_as_good_as_no_limit(
    train: InteractionLog, queries: list[list[str]], item_ids: list[str]
) -> None:
    one = ItemKNN(train, item_ids).rank(queries, 40)
    other = ItemKNN(train, item_ids, neighbours=40).rank(queries, 40)
    assert one[0].tolist() == other[0].tolist()


def test_a_repeat_counts_one_user_once() -> None:
    def log(times: int) -> InteractionLog:
        items = ["a"] * times + ["b"]
        return InteractionLog.from_rows(
            [{"user_id": "u", "item_id": item, "timestamp": time} for time, item in enumerate(items)]
        )

    once, often = (ItemKNN(log(times), ["a", "b"], shrinkage=0.0).similarity.toarray() for times in (1, 5))
    assert once.tolist() == often.tolist() == [[0, 1], [1, 0]]
    assert Counter(log(5).history("u"))["a"] == 5


@pytest.mark.parametrize(
    "parameters",
    [{"decay": 0.0}, {"shrinkage": -1.0}, {"self_similarity": -0.1}, {"neighbours": 0}],
    ids=lambda parameters: next(iter(parameters)),
)
def test_a_parameter_out_of_range_is_named(
    train: InteractionLog, item_ids: list[str], parameters: dict[str, float]
) -> None:
    name, value = next(iter(parameters.items()))
    with pytest.raises(DataError, match=f"{name}={value}"):
        ItemKNN(train, item_ids, **parameters)
