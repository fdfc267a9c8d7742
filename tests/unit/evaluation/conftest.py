"""Rankers of fixed lists and a small catalog that the evaluation tests share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from genrec.data import Cases


class FixedRanker:
    """Returns the list written down for a history, cut or filled up to k; remembers what it was asked for."""

    def __init__(self, lists: dict[tuple[str, ...], list[str]], name: str = "fixed") -> None:
        self.name = name
        self.lists = lists
        self.asked: dict[tuple[str, ...], int] = {}

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        items = np.full((len(histories), k), "", dtype=object)
        for i, history in enumerate(histories):
            self.asked[tuple(history)] = k
            row = self.lists[tuple(history)][:k]
            items[i, : len(row)] = row
        scores = np.where(items == "", -np.inf, -np.arange(k)).astype(np.float32)
        return items, scores


def make_cases(rows: Sequence[tuple[Sequence[str], str]]) -> Cases:
    return Cases(
        tuple(f"u{i}" for i in range(len(rows))),
        tuple(tuple(history) for history, _ in rows),
        tuple(target for _, target in rows),
    )


@pytest.fixture
def fixed_ranker() -> type[FixedRanker]:
    return FixedRanker
