"""Bootstrap intervals: seeded, of the right width, independent of chunks."""

from __future__ import annotations

import numpy as np
import pytest

from genrec.evaluation import bootstrap
from genrec.evaluation.bootstrap import bootstrap_intervals


def test_the_same_seed_gives_the_same_interval_and_another_one_not() -> None:
    values = {"x": np.random.default_rng(0).random(300)}
    one, again, other = (bootstrap_intervals(values, resamples=200, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_an_interval_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(size=4000)
    lower, upper = bootstrap_intervals({"x": values}, resamples=2000, seed=0)["x"]
    half = 1.96 * values.std() / np.sqrt(4000)
    assert lower == pytest.approx(values.mean() - half, abs=half / 10)
    assert upper == pytest.approx(values.mean() + half, abs=half / 10)


def test_about_95_of_100_intervals_cover_the_truth() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        hits = (generator.random(400) < 0.1).astype(float)
        lower, upper = bootstrap_intervals({"recall": hits}, resamples=300, seed=trial)["recall"]
        covered += lower <= 0.1 <= upper
    assert 0.91 <= covered / 300 <= 0.98


def test_all_metrics_share_the_draws() -> None:
    values = np.random.default_rng(0).random(50)
    found = bootstrap_intervals({"x": values, "double": 2 * values}, resamples=100, seed=0)
    assert found["double"] == pytest.approx(tuple(2 * end for end in found["x"]))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"x": np.random.default_rng(0).random(100)}
    whole = bootstrap_intervals(values, resamples=150, seed=0)
    monkeypatch.setattr(bootstrap, "CELLS", 700)
    assert bootstrap_intervals(values, resamples=150, seed=0)["x"] == pytest.approx(whole["x"], rel=1e-12)


def test_equal_values_have_no_width_and_one_user_none_either() -> None:
    assert bootstrap_intervals({"x": np.full(9, 0.25)}, resamples=10, seed=0) == {"x": (0.25, 0.25)}
    assert bootstrap_intervals({"x": np.array([1.0])}, resamples=10, seed=0) == {"x": (1.0, 1.0)}


def test_no_resamples_give_no_intervals() -> None:
    assert bootstrap_intervals({"x": np.ones(3)}, resamples=0, seed=0) == {}
