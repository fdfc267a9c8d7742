"""Every baseline: a history's list depends on that history alone, and is one of distinct items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from genrec.baselines import ContentKNN, ItemKNN, MarkovKNN, Popularity, RandomRanker
from genrec.data import InteractionLog
from genrec.embeddings import EmbeddingTable
from genrec.ranking import Ranker

MAKERS: dict[str, Callable[[InteractionLog, EmbeddingTable, list[str]], Ranker]] = {
    "popularity": lambda train, vectors, ids: Popularity(train, ids),
    "item-knn": lambda train, vectors, ids: ItemKNN(train, ids),
    "markov-knn": lambda train, vectors, ids: MarkovKNN(train, ids),
    "content-knn": lambda train, vectors, ids: ContentKNN(vectors, ids),
    "random": lambda train, vectors, ids: RandomRanker(ids, seed=0),
}


@pytest.fixture(params=MAKERS)
def ranker(
    request: pytest.FixtureRequest, train: InteractionLog, vectors: EmbeddingTable, item_ids: list[str]
) -> Ranker:
    return MAKERS[request.param](train, vectors, item_ids)


def test_eight_at_once_are_one_after_the_other(ranker: Ranker, queries: list[list[str]]) -> None:
    items, scores = ranker.rank(queries, 40)
    for i, query in enumerate(queries):
        alone = ranker.rank([query], 40)
        assert alone[0][0].tolist() == items[i].tolist()
        assert alone[1][0].tobytes() == scores[i].tobytes()


def test_the_order_of_a_batch_does_not_matter(ranker: Ranker, queries: list[list[str]]) -> None:
    items, scores = ranker.rank(queries, 12)
    turned = ranker.rank(queries[::-1], 12)
    assert turned[0][::-1].tolist() == items.tolist()
    assert turned[1][::-1].tobytes() == scores.tobytes()


def test_lists_keep_to_the_protocol(ranker: Ranker, queries: list[list[str]], item_ids: list[str]) -> None:
    items, scores = ranker.rank(queries, 45)
    assert items.shape == scores.shape == (8, 45)
    assert items.dtype == object
    assert scores.dtype == np.float32
    for row in items:
        assert sorted(row[:40]) == sorted(item_ids)
        assert row[40:].tolist() == [""] * 5
    assert (np.diff(scores[:, :40], axis=1) <= 0).all()
    assert np.isneginf(scores[:, 40:]).all()


def test_the_order_of_the_catalog_does_not_matter(
    request: pytest.FixtureRequest,
    ranker: Ranker,
    train: InteractionLog,
    vectors: EmbeddingTable,
    queries: list[list[str]],
    item_ids: list[str],
) -> None:
    shuffled = [item_ids[i] for i in np.random.default_rng(5).permutation(40)]
    other = MAKERS[request.node.callspec.params["ranker"]](train, vectors, shuffled)
    assert other.rank(queries, 40)[0].tolist() == ranker.rank(queries, 40)[0].tolist()


def test_content_lists_do_not_depend_on_the_batch_where_products_round() -> None:
    # wide vectors and many distinct items: matrix products of different shapes would round differently
    generator = np.random.default_rng(0)
    ids = [f"i{i}" for i in range(700)]
    ranker = ContentKNN(EmbeddingTable(ids, generator.normal(size=(700, 384)).astype(np.float32)), power=1.0)
    histories = [[ids[i] for i in generator.integers(700, size=1 + j % 9)] for j in range(120)]
    items, scores = ranker.rank(histories, 50)
    for i in range(0, 120, 6):
        alone = ranker.rank([histories[i]], 50)
        assert alone[1][0].tobytes() == scores[i].tobytes()
        assert alone[0][0].tolist() == items[i].tolist()
