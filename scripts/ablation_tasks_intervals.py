"""Means with their 95 % intervals, as the table of `ablation_tasks.py` shows them.

Does not know jobs.
"""

from __future__ import annotations

import numpy as np


def over_cases_and_seeds(gains: np.ndarray, resamples: int) -> tuple[float, float]:
    """Bootstrap interval of the mean of `[seeds, cases]` when both might have come out otherwise."""
    rng, (seeds, cases) = np.random.default_rng(0), gains.shape
    means = []
    for _ in range(resamples):
        drawn = gains[rng.integers(seeds, size=seeds)].mean(axis=0)  # [cases]
        means.append(drawn[rng.integers(cases, size=cases)].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def shown(mean: float, ends: tuple[float, float], *, signed: bool = False) -> str:
    """A mean with its interval."""
    return f"{number(mean, signed)} [{number(ends[0], signed)}, {number(ends[1], signed)}]"


def number(value: float, signed: bool = False) -> str:
    """Four digits without the zero before the point."""
    return (f"{value:+.4f}" if signed else f"{value:.4f}").replace("0.", ".", 1)
