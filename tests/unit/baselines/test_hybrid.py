"""Hybrids against sums written out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from genrec.baselines import (
    ContentKNN,
    Part,
    Popularity,
    ProbabilityMixture,
    ReciprocalRankFusion,
)
from genrec.data import InteractionLog, canonical_order
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError


class Fixed:
    """Lists given in advance."""

    name = "fixed"

    def __init__(self, *found: tuple[str, float]) -> None:
        self.found = found

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        items = np.full((len(histories), k), "", dtype=object)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        for place, (item, score) in enumerate(self.found[:k]):
            items[:, place], scores[:, place] = item, score
        return items, scores


def test_probabilities_are_mixed_as_by_hand() -> None:
    generator = Fixed(("a", np.log(0.5)), ("b", np.log(0.3)), ("c", np.log(0.1)))
    content = Fixed(("c", 0.6), ("d", 0.2), ("a", -0.5))
    items, scores = ProbabilityMixture([Part(generator), Part(content, 1.0, "score")]).rank([["x"]], 5)
    assert items[0].tolist() == ["c", "a", "b", "d", ""]
    assert scores[0] == pytest.approx([0.7, 0.5, 0.3, 0.2, -np.inf])
    shared = ProbabilityMixture([Part(generator), Part(content, 0.4, "share")]).rank([["x"]], 4)
    assert dict(zip(shared[0][0], shared[1][0], strict=True)) == pytest.approx(
        {"a": 0.5, "c": 0.1 + 0.4 * 0.75, "b": 0.3, "d": 0.4 * 0.25}
    )


def test_equal_models_are_averaged_and_ties_stand_in_canonical_order() -> None:
    one, two = Fixed(("p", np.log(0.6)), ("q", np.log(0.4))), Fixed(("q", np.log(0.6)), ("p", np.log(0.4)))
    items, scores = ProbabilityMixture([Part(one, 0.5), Part(two, 0.5)]).rank([[], []], 2)
    assert items.tolist() == [canonical_order(["p", "q"])] * 2
    assert scores == pytest.approx(0.5)


def test_a_content_mixture_is_the_sum_written_out(
    train: InteractionLog, vectors: EmbeddingTable, item_ids: list[str], queries: list[list[str]]
) -> None:
    content, popular = ContentKNN(vectors, item_ids), Popularity(train, item_ids)
    mixture = ProbabilityMixture([Part(content, 2.0, "score"), Part(popular, 0.1, "share")], depth=40)
    items, scores = mixture.rank(queries, 40)
    for i, query in enumerate(queries):
        expected = {item: 0.0 for item in item_ids}
        for item, score in zip(*(row[0] for row in content.rank([query], 40)), strict=True):
            expected[item] += 2.0 * max(float(score), 0)
        counts = popular.rank([query], 40)
        for item, count in zip(counts[0][0], counts[1][0], strict=True):
            expected[item] += 0.1 * float(count) / float(counts[1][0].sum())
        assert dict(zip(items[i], scores[i], strict=True)) == pytest.approx(expected, rel=1e-5)


def test_reciprocal_ranks_are_added() -> None:
    one, two = Fixed(("a", 9.0), ("b", 5.0)), Fixed(("c", 0.1), ("a", 0.05))
    items, scores = ReciprocalRankFusion([Part(one), Part(two, 0.5)], constant=10).rank([["x"]], 4)
    assert items[0].tolist() == ["a", "b", "c", ""]
    assert scores[0, :3] == pytest.approx([1 / 11 + 0.5 / 12, 1 / 12, 0.5 / 11])


@pytest.mark.parametrize("part", [{"weight": -1.0}, {"scale": "odd"}, {"weight": float("nan")}])
def test_a_part_out_of_range_is_refused(part: dict[str, float]) -> None:
    with pytest.raises(DataError, match="part of a hybrid"):
        Part(Fixed(), **part)  # type: ignore[arg-type]


def test_no_part_is_refused() -> None:
    with pytest.raises(DataError, match="needs a ranker"):
        ProbabilityMixture([])
