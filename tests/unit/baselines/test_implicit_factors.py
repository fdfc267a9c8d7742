"""ALS and BPR: the fold-in is the least-squares solution, seeds decide, lists keep to the protocol."""

from __future__ import annotations

import numpy as np
import pytest

from genrec.baselines import ALS, BPR, Popularity
from genrec.data import InteractionLog
from genrec.errors import DataError

pytest.importorskip("implicit")


@pytest.fixture(scope="module")
def als(train: InteractionLog, item_ids: list[str]) -> ALS:
    return ALS(train, item_ids, factors=6, alpha=3.0, regularization=0.2, decay=0.5)


def test_a_user_vector_minimises_the_weighted_squares(als: ALS) -> None:
    history = [3, 17, 8]
    user = als._user(history)
    preference, confidence = np.zeros(40), np.ones(40)
    for age, row in enumerate(reversed(history)):
        preference[row], confidence[row] = 1, 1 + 3.0 * 0.5**age

    def loss(vector: np.ndarray) -> float:
        errors = preference - als.factors @ vector
        return float((confidence * errors**2).sum() + 0.2 * (vector**2).sum())

    generator = np.random.default_rng(0)
    for _ in range(20):
        assert loss(user) < loss(user + 0.01 * generator.normal(size=6))


def test_factors_find_the_neighbours_of_the_training_users(
    als: ALS, train_histories: list[list[str]], item_ids: list[str]
) -> None:
    items, _ = als.rank([history[:-1] for history in train_histories], 10)
    hits = np.mean([history[-1] in row for history, row in zip(train_histories, items, strict=True)])
    assert hits > 0.5  # 10 of 40 items by chance: 0.25


@pytest.mark.parametrize("method", [ALS, BPR])
def test_a_seed_decides_and_lists_keep_to_the_protocol(
    method: type[ALS] | type[BPR], train: InteractionLog, item_ids: list[str], queries: list[list[str]]
) -> None:
    ranker = method(train, item_ids, factors=6, iterations=5, seed=1)
    items, scores = ranker.rank(queries, 45)
    again = method(train, item_ids[::-1], factors=6, iterations=5, seed=1).rank(queries, 45)
    assert again[0].tolist() == items.tolist()
    for i, query in enumerate(queries):
        assert sorted(items[i, :40]) == sorted(item_ids)
        assert items[i, 40:].tolist() == [""] * 5
        alone = ranker.rank([query], 45)
        assert alone[1][0].tobytes() == scores[i].tobytes()
    assert (np.diff(scores[:, :40], axis=1) <= 0).all()


def test_an_empty_history_gets_the_popular_items(
    als: ALS, train: InteractionLog, item_ids: list[str]
) -> None:
    repeated = {tuple(row) for row in als.rank([[], ["gone"]], 40)[0].tolist()}
    assert len(repeated) == 1
    best = Popularity(train, item_ids).rank([[]], 8)[0][0]
    assert len(set(best) & set(next(iter(repeated))[:12])) >= 6  # users are counted once an item here


def test_a_decay_out_of_range_is_refused(train: InteractionLog, item_ids: list[str]) -> None:
    with pytest.raises(DataError, match="recency decay"):
        BPR(train, item_ids, decay=0.0)
