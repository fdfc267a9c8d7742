"""Baseline parameters chosen on validation cases by NDCG@10, over a small grid that is written to the log.

Does not know the test cases.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from tqdm.auto import tqdm

from genrec.baselines.content_knn import ContentKNN
from genrec.baselines.item_knn import ItemKNN
from genrec.data import Cases, InteractionLog
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError
from genrec.ranking import Ranker

logger = logging.getLogger(__name__)

CUT_OFF = 10

R = TypeVar("R", bound=Ranker)


def tune_item_knn(
    train: InteractionLog,
    validation: Cases,
    item_ids: Sequence[str],
    *,
    decays: Sequence[float] = (0.5, 0.4, 0.6, 0.8),
    shrinkages: Sequence[float] = (100.0, 20.0, 5.0, 0.0),
    self_similarities: Sequence[float] = (0.0, 0.1, 1.0),
    max_cases: int = 10_000,
) -> ItemKNN:
    """Chooses decay and shrinkage of `ItemKNN` together, then the similarity of an item to itself.

    History items are not masked. Of equal values the first one tried stays; the first of each list is the
    default.

    Args:
        train: The training log.
        validation: Cases that are neither trained on nor reported.
        item_ids: The catalog.
        decays: Tried.
        shrinkages: Tried.
        self_similarities: Tried.
        max_cases: A larger validation set is sampled (seed 0).

    Raises:
        DataError: No validation case, or a parameter out of range.
    """
    cases = _sample(validation, max_cases)

    def make(chosen: Mapping[str, float]) -> ItemKNN:
        return ItemKNN(
            train,
            item_ids,
            decay=chosen["decay"],
            shrinkage=chosen["shrinkage"],
            self_similarity=chosen["self_similarity"],
        )

    grid = [
        {"decay": decay, "shrinkage": shrinkage, "self_similarity": self_similarities[0]}
        for decay in decays
        for shrinkage in shrinkages
    ]
    return _chosen(make, grid, self_similarities, cases)


def tune_content_knn(
    vectors: EmbeddingTable,
    validation: Cases,
    item_ids: Sequence[str] | None = None,
    *,
    powers: Sequence[float] = (8.0, 4.0, 16.0),
    decays: Sequence[float] = (0.4, 0.2, 0.6),
    self_similarities: Sequence[float] = (0.0, 1.0),
    train: InteractionLog | None = None,
    max_cases: int = 4_000,
) -> ContentKNN:
    """Chooses power and decay of `ContentKNN` together, then the similarity of an item to itself.

    History items are not masked. Of equal values the first one tried stays; the first of each list is the
    default.

    Args:
        vectors: Content vectors.
        validation: Cases that are not reported.
        item_ids: The catalog; None = all items with a vector.
        powers: Tried.
        decays: Tried.
        self_similarities: Tried.
        train: Training log for the order of popularity.
        max_cases: A larger validation set is sampled (seed 0).

    Raises:
        DataError: No validation case, or a parameter out of range.
    """
    cases = _sample(validation, max_cases)

    def make(chosen: Mapping[str, float]) -> ContentKNN:
        return ContentKNN(
            vectors,
            item_ids,
            power=chosen["power"],
            decay=chosen["decay"],
            self_similarity=chosen["self_similarity"],
            train=train,
        )

    grid = [
        {"power": power, "decay": decay, "self_similarity": self_similarities[0]}
        for power in powers
        for decay in decays
    ]
    return _chosen(make, grid, self_similarities, cases)


def mean_ndcg(ranker: Ranker, cases: Cases, k: int = CUT_OFF) -> float:
    """NDCG@k of one target a case: `1 / log2(1 + place)` where it is among the first k, 0 where not."""
    items, _ = ranker.rank(cases.histories, k)
    hits = items == np.array(cases.targets, dtype=object)[:, None]  # [cases, k]
    place = hits.argmax(axis=1)
    return float(np.where(hits.any(axis=1), 1 / np.log2(2 + place), 0.0).mean())


def _chosen(
    make: Callable[[Mapping[str, float]], R],
    grid: Sequence[dict[str, float]],
    self_similarities: Sequence[float],
    cases: Cases,
) -> R:
    best, value = _best(make, grid, cases, grid[0], -1.0)
    others = [best | {"self_similarity": similarity} for similarity in self_similarities[1:]]
    best, value = _best(make, others, cases, best, value)
    ranker = make(best)
    logger.info("%s is used with %s: validation ndcg@%d %.4f", ranker.name, _shown(best), CUT_OFF, value)
    return ranker


def _best(
    make: Callable[[Mapping[str, float]], R],
    grid: Sequence[dict[str, float]],
    cases: Cases,
    best: dict[str, float],
    highest: float,
) -> tuple[dict[str, float], float]:
    for parameters in tqdm(grid, desc="tuning", unit="setting", disable=None):
        ranker = make(parameters)
        value = mean_ndcg(ranker, cases)
        logger.debug("%s with %s: validation ndcg@%d %.4f", ranker.name, _shown(parameters), CUT_OFF, value)
        if value > highest:
            best, highest = parameters, value
    return best, highest


def _shown(parameters: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {number:g}" for key, number in parameters.items())


def _sample(validation: Cases, max_cases: int) -> Cases:
    if not len(validation):
        raise DataError(
            "there is no validation case to choose parameters by",
            remedy="split the log so that validation cases remain, or use the defaults without tuning",
        )
    return validation.sample(max_cases) if len(validation) > max_cases else validation
