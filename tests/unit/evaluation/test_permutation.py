"""The permutation test: against all patterns of signs, calibrated under no difference, seeded."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from genrec.evaluation import permutation, permutation_test


def all_patterns(differences: np.ndarray) -> float:
    """The exact p-value: every pattern of signs once."""
    total = abs(differences.sum())
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    return float(np.mean([value >= total - 1e-12 for value in sums]))


@pytest.mark.parametrize("seed", range(4))
def test_it_draws_what_all_patterns_give(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.3, 1, size=12)
    found = permutation_test(differences[:, None], permutations=20_000, seed=seed)[0]
    assert found == pytest.approx(all_patterns(differences), abs=0.015)


def test_hits_and_misses_give_the_binomial() -> None:
    differences = np.array([1.0] * 9 + [-1.0] + [0.0] * 50)
    exact = 2 * (1 + 10) / 2**10  # at most one of ten on the other side
    assert permutation_test(differences[:, None], permutations=50_000)[0] == pytest.approx(exact, abs=0.003)


def test_under_no_difference_one_of_twenty_is_below_five_percent() -> None:
    generator = np.random.default_rng(0)
    p_values = [permutation_test(generator.normal(size=(30, 1)), permutations=199)[0] for _ in range(600)]
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07


def test_the_measured_order_counts_as_a_draw_and_sides_do_not_matter() -> None:
    differences = np.stack([np.ones(40), -np.ones(40)], axis=1)
    assert permutation_test(differences, permutations=99).tolist() == [0.01, 0.01]


def test_no_difference_is_no_evidence() -> None:
    assert permutation_test(np.zeros((5, 2))).tolist() == [1.0, 1.0]
    assert permutation_test(np.zeros((0, 1))).tolist() == [1.0]
    assert permutation_test(np.array([[1.0], [-1.0]])).tolist() == [1.0]


def test_rounding_does_not_tell_equal_sums_apart() -> None:
    # every pattern has one of two sums on paper, both as far from 0 as the measured one
    differences = np.array([0.1, 0.2, 0.3, -0.6 + 1e-17])[:, None]
    assert permutation_test(differences, permutations=500)[0] == 1.0


def test_cases_of_one_user_change_sign_together() -> None:
    differences = np.ones((20, 1))
    users = np.repeat(np.arange(4), 5)
    alone, together = permutation_test(differences)[0], permutation_test(differences, users=users)[0]
    assert alone < 0.001
    assert together == pytest.approx(2 / 2**4, abs=0.01)


def test_it_is_seeded_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0.2, 1, size=(45, 2))
    whole = permutation_test(differences, permutations=500, seed=3)
    assert whole.tolist() != permutation_test(differences, permutations=500, seed=4).tolist()
    monkeypatch.setattr(permutation, "CELLS", 300)
    assert permutation_test(differences, permutations=500, seed=3).tolist() == whole.tolist()
