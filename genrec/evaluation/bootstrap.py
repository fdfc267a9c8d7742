"""Percentile intervals of means by the bootstrap over users.

Does not know what the values mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# Draws held at once.
CELLS = 1 << 22


def bootstrap_intervals(
    values: Mapping[str, np.ndarray], *, resamples: int, seed: int, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Intervals of the mean of each metric (Efron & Tibshirani 1993, section 13.3: the percentile interval).

    Users are drawn with replacement, the same draws for every metric; with one seed and one number of users,
    also for every ranker.

    Args:
        values: Metric -> one value per user, float `[users]`.
        resamples: Draws of a whole set of users; 0 = no intervals.
        seed: Of the draws.
        level: Share of the resampled means between the two ends.

    Returns:
        Metric -> lower and upper end; empty without resamples.
    """
    if not resamples or not values:
        return {}
    names = list(values)
    table = np.stack([np.asarray(values[name], dtype=np.float64) for name in names], axis=1)
    users = len(table)  # table: [users, metrics]
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, len(names)))
    chunk = max(1, CELLS // users)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(0, users, size=(size, users), dtype=np.int32)
        # [resamples, users]: how often each user was drawn
        drawn += np.arange(size, dtype=np.int32)[:, None] * np.int32(users)
        counts = np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users)
        means[start : start + size] = counts @ table / users
    tail = 100 * (1 - level) / 2
    lower, upper = np.percentile(means, [tail, 100 - tail], axis=0)  # [metrics] each
    return {name: (float(lower[i]), float(upper[i])) for i, name in enumerate(names)}
