"""Slices against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from genrec.baselines import Popularity
from genrec.data import Cases, InteractionLog
from genrec.evaluation import RetrievalEvaluator, case_slices
from genrec.evaluation.slices import popularity_parts


def log(counts: dict[str, int]) -> InteractionLog:
    rows = [item for item, count in counts.items() for _ in range(count)]
    return InteractionLog.from_rows({"user_id": f"u{i}", "item_id": item} for i, item in enumerate(rows))


def test_head_torso_and_tail_hold_a_third_of_the_interactions_each() -> None:
    counts = {"a": 30, "b": 15, "c": 15, **{f"t{i}": 3 for i in range(10)}, "new": 0}
    parts = popularity_parts(counts)
    assert parts["a"] == 0
    assert (parts["b"], parts["c"]) == (1, 1)
    assert {parts[f"t{i}"] for i in range(10)} == {2}
    assert parts["new"] == 2


def test_items_of_equal_counts_stay_together() -> None:
    assert set(popularity_parts({str(i): 4 for i in range(9)}).values()) == {1}
    assert popularity_parts({"a": 0, "b": 0}) == {"a": 2, "b": 2}


def test_cases_fall_into_the_slices_of_their_target_and_history() -> None:
    train = log({"head": 30, "middle": 20, "six": 6, "five": 5, "one": 1})
    rows = [("head", 5), ("middle", 6), ("six", 1), ("five", 0), ("one", 9), ("unseen", 2)]
    cases = Cases(
        tuple(f"u{i}" for i in range(6)),
        tuple(("head",) * length for _, length in rows),
        tuple(target for target, _ in rows),
    )
    found = case_slices(cases, ["head", "middle", "six", "five", "one", "unseen", "other"], train)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "head items": [0],
        "torso items": [1],
        "tail items": [2, 3, 4, 5],
        "cold items (<= 5)": [3, 4, 5],
        "unseen items": [5],
        "short histories (<= 5)": [0, 2, 3, 5],
        "long histories (> 5)": [1, 4],
    }


def test_the_numbers_of_a_slice_are_those_of_its_cases_alone() -> None:
    generator = np.random.default_rng(0)
    items = [f"i{n}" for n in range(20)]
    train = InteractionLog.from_rows(
        {"user_id": f"u{u}", "item_id": items[int(item)]}
        for u in range(60)
        for item in generator.choice(15, size=4, p=np.arange(15, 0, -1) / 120)
    )
    drawn = [generator.integers(20, size=2 + n % 9) for n in range(80)]
    cases = Cases(
        tuple(f"c{n}" for n in range(80)),
        tuple(tuple(items[i] for i in row[:-1]) for row in drawn),
        tuple(items[row[-1]] for row in drawn),
    )
    ranker = Popularity(train, items)
    result = RetrievalEvaluator(cases, item_ids=items, train=train, bootstrap=20).evaluate(ranker)
    masks = case_slices(cases, items, train)
    assert sum(result.slices[f"{part} items"].cases for part in ("head", "torso", "tail")) == 80
    for name, part in result.slices.items():
        alone = cases.subset(np.flatnonzero(masks[name]))
        expected = RetrievalEvaluator(alone, item_ids=items, bootstrap=0).evaluate(ranker)
        assert part.cases == len(alone) > 0
        assert part.metrics == pytest.approx(expected.metrics)
        assert all(low <= part.metrics[metric] <= high for metric, (low, high) in part.intervals.items())
