"""Weights of hybrids: the best on validation is taken, and all that were tried are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from genrec.baselines import Part, tune_mixture, tune_rank_fusion
from genrec.baselines.tuning_hybrid import KnownLists
from genrec.data import Cases


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


def test_the_best_weight_is_chosen_on_validation_and_all_are_kept(tmp_path: Path) -> None:
    # the target is second in both lists, and first in the sum where both count alike
    one = Fixed(("x", np.log(0.6)), ("good", np.log(0.4)))
    two = Fixed(("y", 0.6), ("good", 0.4))
    cases = Cases(("u", "v"), (("a",), ("b",)), ("good", "good"))
    log_file = tmp_path / "logs" / "mixture.jsonl"
    mixture = tune_mixture([Part(one)], two, cases, weights=(0.1, 1.0, 9.0), log_file=log_file)
    assert [part.weight for part in mixture.parts] == [1.0, 1.0]
    assert mixture.parts[0].ranker is one
    rows = [json.loads(line) for line in log_file.read_text().splitlines()]
    assert [row["weight"] for row in rows] == [0.1, 1.0, 9.0]
    assert [row["ndcg@10"] for row in rows] == pytest.approx([0.63093, 1.0, 0.63093], abs=1e-5)
    assert {row["cases"] for row in rows} == {2}


def test_a_fusion_is_chosen_the_same_way(tmp_path: Path) -> None:
    # with a heavy second list its first item wins, with a light one the first list's does
    one = Fixed(("good", 0.6), ("x", 0.4))
    two = Fixed(("y", 0.6), ("x", 0.4))
    cases = Cases(("u",), (("a",),), ("good",))
    log_file = tmp_path / "rrf.jsonl"
    fusion = tune_rank_fusion(
        [Part(one)], two, cases, weights=(3.0, 0.1), constants=(60.0, 1.0), log_file=log_file
    )
    assert fusion.parts[1].weight == 0.1
    rows = [json.loads(line) for line in log_file.read_text().splitlines()]
    assert [(row["constant"], row["weight"]) for row in rows] == [(60, 3), (60, 0.1), (1, 3), (1, 0.1)]
    best = max(row["ndcg@10"] for row in rows)
    assert fusion.constant == next(row["constant"] for row in rows if row["ndcg@10"] == best)


def test_lists_are_made_once() -> None:
    asked: list[int] = []

    class Counting(Fixed):
        def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
            asked.append(k)
            return super().rank(histories, k)

    known, histories = KnownLists(Counting(("a", 1.0))), [["x"]]
    first = known.rank(histories, 3)
    assert known.rank(histories, 3) is first
    known.rank(histories, 4)
    known.rank([["x"]], 3)
    assert asked == [3, 4, 3]
