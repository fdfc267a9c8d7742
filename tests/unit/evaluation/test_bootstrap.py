"""Bootstrap intervals: seeded, of the right width, independent of chunks."""

from __future__ import annotations

import numpy as np
import pytest

from genrec.evaluation import bootstrap
from genrec.evaluation.bootstrap import bootstrap_intervals, slice_intervals


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


def test_a_user_with_several_cases_is_drawn_with_all_of_them() -> None:
    generator = np.random.default_rng(0)
    per_user = generator.normal(size=200)
    users = np.repeat(np.arange(200), 5)
    alone = bootstrap_intervals({"x": per_user}, resamples=500, seed=0)["x"]
    repeated = bootstrap_intervals({"x": per_user[users]}, resamples=500, seed=0, users=users)["x"]
    assert repeated == pytest.approx(alone, rel=1e-9)  # five copies of a user's value tell nothing more
    naive = bootstrap_intervals({"x": per_user[users]}, resamples=500, seed=0)["x"]
    assert naive[1] - naive[0] < 0.6 * (alone[1] - alone[0])


def test_the_slice_of_all_has_the_interval_of_all_and_an_empty_one_none() -> None:
    values = {"x": np.random.default_rng(0).random(80)}
    slices = {"all": np.ones(80, dtype=bool), "none": np.zeros(80, dtype=bool), "first": np.arange(80) < 20}
    found = slice_intervals(values, slices, resamples=300, seed=1)
    whole = bootstrap_intervals(values, resamples=300, seed=1)["x"]
    assert found["all"]["x"] == pytest.approx(whole, rel=1e-12)
    assert found["none"] == {}
    lower, upper = found["first"]["x"]
    assert lower < values["x"][:20].mean() < upper
    assert upper - lower == pytest.approx(2 * (whole[1] - whole[0]), rel=0.25)  # a quarter of the cases


def test_draws_without_a_case_of_the_slice_are_left_out() -> None:
    found = slice_intervals({"x": np.arange(30.0)}, {"one": np.arange(30) == 7}, resamples=200, seed=0)
    assert found["one"]["x"] == (7.0, 7.0)
