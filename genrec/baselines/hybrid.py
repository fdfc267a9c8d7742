"""Hybrids: rankers' lists put together by reciprocal rank or by mixing probabilities.

Does not know how the lists were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from genrec.baselines.ranked_lists import empty_lists
from genrec.data import canonical_order
from genrec.errors import DataError
from genrec.ranking import Ranker

Scale = Literal["log", "share", "score"]


@dataclass(frozen=True)
class Part:
    """One ranker of a mixture.

    Attributes:
        ranker: The ranker.
        weight: Its factor, at least 0.
        scale: How its scores become something to add: `log` = they are log-probabilities, their exponentials
            are added; `share` = the positive ones are divided by their sum over the list, as far as it
            reaches; `score` = the positive ones are added as they are.

    Raises:
        DataError: A negative weight or an unknown scale.
    """

    ranker: Ranker
    weight: float = 1.0
    scale: Scale = "log"

    def __post_init__(self) -> None:
        """Checks weight and scale."""
        if not self.weight >= 0 or self.scale not in get_args(Scale):
            raise DataError(
                "a part of a hybrid has a negative weight or an unknown scale",
                received=f"weight={self.weight}, scale={self.scale!r}",
                remedy=f"give a weight of at least 0 and one of {', '.join(get_args(Scale))}",
            )


class ProbabilityMixture:
    """Ranks by the weighted sum of its parts' probabilities; an item that a list lacks has none there.

    Parts of equal weight and scale `log` are averaged models: the order is that of their mean probability.

    Args:
        parts: The rankers with their weights.
        depth: Items asked of each part; None = twice as many as asked for, at least 100.
        name: Name in reports.

    Raises:
        DataError: No part.
    """

    def __init__(self, parts: Sequence[Part], *, depth: int | None = None, name: str = "mixture") -> None:
        self.parts = checked_parts(parts)
        self.depth = depth
        self.name = name

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks what the parts found; equal sums in canonical order.

        Args:
            histories: Item ids, oldest first.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and weighted sums, float32 `[n, k]`; `""` and minus infinity where the
            parts found fewer.
        """
        depth = max(k, self.depth or max(100, 2 * k))
        lists = [part.ranker.rank(histories, depth) for part in self.parts]
        values = [
            part.weight * probabilities(scores, part.scale)
            for part, (_, scores) in zip(self.parts, lists, strict=True)
        ]
        return merged([items for items, _ in lists], values, k)


class ReciprocalRankFusion:
    """Ranks by the weighted sum of `1 / (constant + place)` (Cormack et al., SIGIR 2009).

    Args:
        parts: The rankers with their weights; scales do not matter.
        constant: Flattens the difference between the first places.
        depth: Items asked of each part; None = twice as many as asked for, at least 100.
        name: Name in reports.

    Raises:
        DataError: No part, or a negative constant.
    """

    def __init__(
        self, parts: Sequence[Part], *, constant: float = 60.0, depth: int | None = None, name: str = "rrf"
    ) -> None:
        if not constant >= 0:
            raise DataError(
                "the constant of reciprocal rank fusion is negative", received=constant, remedy="give 60"
            )
        self.parts = checked_parts(parts)
        self.constant = constant
        self.depth = depth
        self.name = name

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks what the parts found; arguments and results as in `ProbabilityMixture.rank`."""
        depth = max(k, self.depth or max(100, 2 * k))
        lists = [part.ranker.rank(histories, depth) for part in self.parts]
        places = (1 / (self.constant + 1 + np.arange(depth))).astype(np.float32)  # [depth]
        values = [
            part.weight * np.where(np.isneginf(scores), 0, places)
            for part, (_, scores) in zip(self.parts, lists, strict=True)
        ]
        return merged([items for items, _ in lists], values, k)


def merged(
    items: Sequence[np.ndarray], values: Sequence[np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Adds up what several lists say of each item.

    Args:
        items: One object `[n, depth]` a list; `""` where it ends.
        values: One float `[n, depth]` a list.
        k: Items a history.

    Returns:
        Items, object `[n, k]`, and sums, float32 `[n, k]`, best first, equal sums in canonical order; `""`
        and minus infinity beyond the items that any list names.
    """
    every = {item for part in items for item in part.ravel().tolist() if item}
    names = np.array(["", *canonical_order(every)], dtype=object)
    row_of = {item: row for row, item in enumerate(names)}
    rows = np.concatenate([rows_of(part, row_of) for part in items], axis=1)  # [n, all depths], 0 = nothing
    added = np.concatenate(values, axis=1).astype(np.float64)  # [n, all depths]
    found, scores = empty_lists(len(rows), k)
    for i, (row, value) in enumerate(zip(rows, added, strict=True)):
        distinct, place = np.unique(row, return_inverse=True)
        sums = np.bincount(place, weights=value)
        if distinct[0] == 0:
            distinct, sums = distinct[1:], sums[1:]
        order = np.argsort(-sums, kind="stable")[:k]
        found[i, : len(order)] = names[distinct[order]]
        scores[i, : len(order)] = sums[order]
    return found, scores


def rows_of(items: np.ndarray, row_of: dict[str, int]) -> np.ndarray:
    """Rows of item ids, int64 of the same shape."""
    return np.array([row_of[item] for item in items.ravel()], dtype=np.int64).reshape(items.shape)


def probabilities(scores: np.ndarray, scale: Scale) -> np.ndarray:
    """Something to add, float64 `[n, depth]`, of scores `[n, depth]`."""
    if scale == "log":
        return np.asarray(np.exp(scores.astype(np.float64)))
    positive = np.maximum(scores.astype(np.float64), 0)
    if scale == "score":
        return positive
    total = positive.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    return shares


def checked_parts(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts.

    Raises:
        DataError: There is none.
    """
    if not parts:
        raise DataError("a hybrid needs a ranker", received="no part", remedy="give at least one Part")
    return tuple(parts)
