"""Weights of hybrids, chosen on validation cases; the lists of the parts are made only once.

Does not know the test cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genrec.baselines.grid_search import GridSearch, Setting
from genrec.baselines.hybrid import Part, ProbabilityMixture, ReciprocalRankFusion, Scale
from genrec.data import Cases
from genrec.ranking import Ranker


class KnownLists:
    """A ranker that makes the lists of the same histories only once: for trying weights of a hybrid.

    Args:
        ranker: Makes them; it must not change in between.
    """

    def __init__(self, ranker: Ranker) -> None:
        self.name = ranker.name
        self.ranker = ranker
        self._known: dict[tuple[int, int], tuple[object, tuple[np.ndarray, np.ndarray]]] = {}

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The ranker's lists; they are kept as long as this object lives, and so are the histories."""
        key = (id(histories), k)
        if key not in self._known:
            self._known[key] = (histories, self.ranker.rank(histories, k))
        return self._known[key][1]


def tune_mixture(
    base: Sequence[Part],
    added: Ranker,
    validation: Cases,
    *,
    weights: Sequence[float] = (0.1, 0.02, 0.05, 0.2, 0.4, 0.7, 1.0, 2.0),
    scales: Sequence[Scale] = ("score",),
    depth: int = 100,
    max_cases: int = 10_000,
    log_file: str | Path | None = None,
    name: str = "mixture",
) -> ProbabilityMixture:
    """Chooses the weight (and the scale) of one more part of a mixture on validation cases.

    Args:
        base: The parts whose weights stand.
        added: The ranker whose weight is chosen, such as content-kNN.
        validation: Cases that are neither trained on nor reported.
        weights: Tried; of equal values the first one stays.
        scales: Tried with each weight.
        depth: Items asked of each part.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.
        name: Name in reports.

    Raises:
        DataError: No validation case, or no part.
    """
    search = GridSearch(validation, max_cases=max_cases, log_file=log_file)
    known = [Part(KnownLists(part.ranker), part.weight, part.scale) for part in base]
    known_added = KnownLists(added)

    def mixed(setting: Setting) -> ProbabilityMixture:
        part = Part(known_added, setting["weight"], setting["scale"])
        return ProbabilityMixture([*known, part], depth=depth, name=name)

    def fresh(setting: Setting) -> ProbabilityMixture:
        part = Part(added, setting["weight"], setting["scale"])
        return ProbabilityMixture([*base, part], depth=depth, name=name)

    search.over(mixed, [{"weight": weight, "scale": scale} for scale in scales for weight in weights])
    return search.chosen(fresh)


def tune_rank_fusion(
    base: Sequence[Part],
    added: Ranker,
    validation: Cases,
    *,
    weights: Sequence[float] = (1.0, 0.5, 0.7, 1.5),
    constants: Sequence[float] = (60.0, 20.0, 5.0, 1.0),
    depth: int = 100,
    max_cases: int = 10_000,
    log_file: str | Path | None = None,
    name: str = "rrf",
) -> ReciprocalRankFusion:
    """Chooses the weight of one more part of a reciprocal rank fusion, and its constant, on validation cases.

    Args:
        base: The parts whose weights stand.
        added: The ranker whose weight is chosen, such as content-kNN.
        validation: Cases that are neither trained on nor reported.
        weights: Tried; of equal values the first one stays.
        constants: Tried with each weight.
        depth: Items asked of each part.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.
        name: Name in reports.

    Raises:
        DataError: No validation case, or no part.
    """
    search = GridSearch(validation, max_cases=max_cases, log_file=log_file)
    known = [Part(KnownLists(part.ranker), part.weight) for part in base]
    known_added = KnownLists(added)

    def fused(setting: Setting) -> ReciprocalRankFusion:
        parts = [*known, Part(known_added, setting["weight"])]
        return ReciprocalRankFusion(parts, constant=setting["constant"], depth=depth, name=name)

    def fresh(setting: Setting) -> ReciprocalRankFusion:
        parts = [*base, Part(added, setting["weight"])]
        return ReciprocalRankFusion(parts, constant=setting["constant"], depth=depth, name=name)

    search.over(
        fused, [{"weight": weight, "constant": constant} for constant in constants for weight in weights]
    )
    return search.chosen(fresh)
