"""The first-order Markov baseline against the formula written out."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from genrec.baselines import MarkovKNN, Popularity
from genrec.data import InteractionLog
from genrec.errors import DataError


@pytest.mark.parametrize("shrinkage", [0.0, 20.0])
def test_scores_are_those_of_the_formula(
    train: InteractionLog,
    train_histories: list[list[str]],
    queries: list[list[str]],
    item_ids: list[str],
    shrinkage: float,
) -> None:
    steps = Counter(pair for history in train_histories for pair in itertools.pairwise(history))
    left, entered = Counter(), Counter()
    for (before, after), count in steps.items():
        left[before] += count
        entered[after] += count
    items, scores = MarkovKNN(train, item_ids, shrinkage=shrinkage).rank(queries, 40)
    for i, query in enumerate(queries):
        last = next((item for item in reversed(query) if item in item_ids), None)
        for item, score in zip(items[i], scores[i], strict=True):
            count = steps[last, item]
            if count:
                expected = count / (math.sqrt(left[last] * entered[item]) + shrinkage)
                assert score == pytest.approx(expected, rel=1e-6)
            else:
                assert score < 0


def test_what_never_followed_comes_by_popularity(train: InteractionLog, item_ids: list[str]) -> None:
    popular = Popularity(train, item_ids).rank([[]], 40)[0][0].tolist()
    items, scores = MarkovKNN(train, item_ids).rank([[], [item_ids[0]]], 40)
    assert items[0].tolist() == popular
    unseen = items[1][scores[1] < 0].tolist()
    assert 0 < len(unseen) < 40
    assert unseen == [item for item in popular if item in unseen]


def test_only_the_last_known_item_matters(train: InteractionLog, item_ids: list[str]) -> None:
    items, _ = MarkovKNN(train, item_ids).rank([[item_ids[8]], [item_ids[2], item_ids[8], "gone"]], 40)
    assert items[0].tolist() == items[1].tolist()


def test_one_users_end_does_not_lead_to_the_next_users_start() -> None:
    log = InteractionLog.from_rows(
        [
            {"user_id": user, "item_id": item, "timestamp": time}
            for user, history in (("u", "ab"), ("v", "cd"))
            for time, item in enumerate(history)
        ]
    )
    assert MarkovKNN(log, list("abcd")).successors.nnz == 2


def test_a_negative_shrinkage_is_refused(train: InteractionLog, item_ids: list[str]) -> None:
    with pytest.raises(DataError, match="shrinkage=-1"):
        MarkovKNN(train, item_ids, shrinkage=-1)


def test_gaps_and_older_items_count_as_they_are_told(
    train: InteractionLog, train_histories: list[list[str]], queries: list[list[str]], item_ids: list[str]
) -> None:
    gaps, steps = (1.0, 0.5), Counter()
    for history in train_histories:
        for gap, weight in enumerate(gaps, start=1):
            for before, after in zip(history[:-gap], history[gap:], strict=True):
                steps[before, after] += weight
    left, entered = Counter(), Counter()
    for (before, after), count in steps.items():
        left[before] += count
        entered[after] += count
    items, scores = MarkovKNN(train, item_ids, shrinkage=7.0, gaps=gaps, decay=0.5).rank(queries, 40)
    for i, query in enumerate(queries):
        known = [item for item in query if item in item_ids]
        for item, score in zip(items[i], scores[i], strict=True):
            expected = sum(
                0.5**age * steps[before, item] / (math.sqrt(left[before] * entered[item]) + 7)
                for age, before in enumerate(reversed(known))
            )
            assert max(score, 0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wrong", [{"gaps": ()}, {"gaps": (1.0, -1.0)}, {"decay": 0.0}, {"shrinkage": -1.0}])
def test_a_chain_that_makes_no_sense_is_refused(
    train: InteractionLog, item_ids: list[str], wrong: dict[str, object]
) -> None:
    with pytest.raises(DataError):
        MarkovKNN(train, item_ids, **wrong)
