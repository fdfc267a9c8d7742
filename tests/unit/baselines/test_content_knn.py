"""Content-kNN against the formula written out, and its corners."""

from __future__ import annotations

import numpy as np
import pytest

from genrec.baselines import ContentKNN, Popularity
from genrec.baselines.content_knn import _sharpen
from genrec.data import InteractionLog, canonical_order
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError


@pytest.mark.parametrize(
    ("power", "decay", "own"), [(8.0, 0.4, 0.0), (3.0, 1.0, 1.0), (1.0, 0.5, 0.2), (0.5, 0.9, 0.0)]
)
def test_scores_are_those_of_the_formula(
    vectors: EmbeddingTable,
    queries: list[list[str]],
    item_ids: list[str],
    power: float,
    decay: float,
    own: float,
) -> None:
    items, scores = ContentKNN(vectors, power=power, decay=decay, self_similarity=own).rank(queries, 40)
    values = {item: vectors.vectors_for([item])[0].astype(np.float64) for item in item_ids}

    def similarity(i: str, j: str) -> float:
        if i == j:
            return own
        lengths = np.linalg.norm(values[i]) * np.linalg.norm(values[j])
        return max(values[i] @ values[j] / lengths, 0) ** power if lengths else 0.0

    for i, query in enumerate(queries):
        known = [item for item in query if item in values]
        assert sorted(items[i]) == sorted(item_ids)
        for item, score in zip(items[i], scores[i], strict=True):
            expected = sum(decay**age * similarity(item, j) for age, j in enumerate(reversed(known)))
            assert max(score, 0) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_nearest_content_comes_first_and_the_item_itself_does_not(
    vectors: EmbeddingTable, item_ids: list[str]
) -> None:
    items, scores = ContentKNN(vectors).rank([[item_ids[3]], [item_ids[7]]], 40)
    assert items[:, 0].tolist() == [item_ids[7], item_ids[3]]  # the two of the same content
    assert scores[:, 0] == pytest.approx([1.0, 1.0], rel=1e-5)
    assert scores[0, items[0] == item_ids[3]] < 0


def test_without_repeats_an_item_of_the_history_scores_nothing(
    vectors: EmbeddingTable, item_ids: list[str], train: InteractionLog
) -> None:
    history = [item_ids[3], item_ids[7], item_ids[3], "gone"]  # the first two are of the same content
    with_them, scores = ContentKNN(vectors).rank([history, []], 40)
    without, fewer = ContentKNN(vectors, repeats=False, train=train).rank([history, []], 40)
    assert set(with_them[0, :2]) == {item_ids[3], item_ids[7]}
    left = [item for item, score in zip(with_them[0], scores[0], strict=True) if score > 0][2:]
    assert without[0, : len(left)].tolist() == left
    assert fewer[0, : len(left)] == pytest.approx(scores[0, 2 : 2 + len(left)])
    assert (fewer[0, len(left) :] < 0).all()
    assert sorted(without[0]) == sorted(item_ids)


def test_without_a_score_the_order_is_popularity_or_canonical(
    train: InteractionLog, vectors: EmbeddingTable, item_ids: list[str]
) -> None:
    without, _ = ContentKNN(vectors).rank([[], ["gone"], [item_ids[9]]], 40)
    assert without.tolist() == [canonical_order(item_ids)] * 3
    popular, _ = Popularity(train, item_ids).rank([[]], 40)
    with_log, _ = ContentKNN(vectors, train=train).rank([[], ["gone"], [item_ids[9]]], 40)
    assert with_log.tolist() == [popular[0].tolist()] * 3


def test_the_length_of_vectors_and_the_order_of_rows_do_not_matter(
    vectors: EmbeddingTable, queries: list[list[str]], item_ids: list[str]
) -> None:
    longer = EmbeddingTable(item_ids[::-1], vectors.vectors[::-1] * np.float32(4))  # exact in binary
    one, other = ContentKNN(vectors).rank(queries, 40), ContentKNN(longer).rank(queries, 40)
    assert one[0].tolist() == other[0].tolist()
    assert one[1].tolist() == other[1].tolist()


def test_only_the_catalog_is_ranked_and_known(vectors: EmbeddingTable, item_ids: list[str]) -> None:
    ranker = ContentKNN(vectors, item_ids[:5])
    items, _ = ranker.rank([[item_ids[0]], [item_ids[0], item_ids[20]]], 10)
    assert set(items[0]) == {*item_ids[:5], ""}
    assert items[0].tolist() == items[1].tolist()


def test_a_catalog_item_without_a_vector_is_named(vectors: EmbeddingTable, item_ids: list[str]) -> None:
    with pytest.raises(DataError, match="no-vector"):
        ContentKNN(vectors, [*item_ids, "no-vector"])


@pytest.mark.parametrize("parameters", [{"power": 0.0}, {"self_similarity": -1.0}, {"decay": 2.0}])
def test_a_parameter_out_of_range_is_named(vectors: EmbeddingTable, parameters: dict[str, float]) -> None:
    name, value = next(iter(parameters.items()))
    with pytest.raises(DataError, match=f"{name}={value}"):
        ContentKNN(vectors, **parameters)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 3.0, 6.0, 8.0, 12.0])
def test_squaring_gives_the_power(power: float) -> None:
    cosine = np.array([[-0.7, 0.0, 0.3, 1.0]], dtype=np.float32)
    expected = np.maximum(cosine, 0).astype(np.float64) ** power
    np.testing.assert_allclose(_sharpen(cosine.copy(), power), expected, rtol=1e-5)


def test_shares_are_the_lists_positive_scores_over_their_sum(
    vectors: EmbeddingTable, queries: list[list[str]], item_ids: list[str]
) -> None:
    ranker = ContentKNN(vectors, power=3.0)
    items, scores = ranker.rank(queries, 5)
    shares = ranker.shares(queries, depth=5)
    for i in range(len(queries)):
        positive = {item: score for item, score in zip(items[i], scores[i], strict=True) if score > 0}
        total = sum(positive.values())
        found = {item: share for item, share in zip(ranker.catalog.names, shares[i], strict=True) if share}
        assert found == pytest.approx({item: score / total for item, score in positive.items()}, rel=1e-5)
    assert not ranker.shares([[]]).any()
