"""Percentile intervals of means by the bootstrap over users.

Does not know what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

# Draws held at once.
CELLS = 1 << 22


def bootstrap_intervals(
    values: Mapping[str, np.ndarray],
    *,
    resamples: int,
    seed: int,
    level: float = 0.95,
    users: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """Intervals of the mean of each metric (Efron & Tibshirani 1993, section 13.3: the percentile interval).

    Users are drawn with replacement, the same draws for every metric; with one seed and one number of users,
    also for every ranker.

    Args:
        values: Metric -> one value per case, float `[cases]`.
        resamples: Draws of a whole set of users; 0 = no intervals.
        seed: Of the draws.
        level: Share of the resampled means between the two ends.
        users: The user of each case, numbered from 0, int64 `[cases]`: a user with several cases is drawn
            with all of them. None = every case has a user of its own.

    Returns:
        Metric -> lower and upper end; empty without resamples.
    """
    if not resamples or not values:
        return {}
    if users is not None:
        whole = np.ones(len(users), dtype=bool)
        found = slice_intervals(values, {"": whole}, resamples=resamples, seed=seed, level=level, users=users)
        return found[""]
    names = list(values)
    table = np.stack([np.asarray(values[name], dtype=np.float64) for name in names], axis=1)
    means = [counts @ table / len(table) for counts in _draws(len(table), resamples, seed)]
    tail = 100 * (1 - level) / 2
    lower, upper = np.percentile(np.concatenate(means), [tail, 100 - tail], axis=0)  # [metrics] each
    return {name: (float(lower[i]), float(upper[i])) for i, name in enumerate(names)}


def slice_intervals(
    values: Mapping[str, np.ndarray],
    slices: Mapping[str, np.ndarray],
    *,
    resamples: int,
    seed: int,
    level: float = 0.95,
    users: np.ndarray | None = None,
) -> dict[str, dict[str, tuple[float, float]]]:
    """Intervals of the mean of each metric over each slice; users of all slices are drawn together.

    The number of a slice's cases varies with the draws, as it would with other users. Draws without a case of
    the slice say nothing and are left out.

    Args:
        values: Metric -> one value per case, float `[cases]`.
        slices: Name -> which cases, bool `[cases]`.
        resamples: Draws; 0 = no intervals.
        seed: Of the draws.
        level: Share of the resampled means between the two ends.
        users: As in `bootstrap_intervals`.

    Returns:
        Slice -> metric -> lower and upper end. A slice without a case has no intervals.
    """
    if not resamples or not values or not slices:
        return {name: {} for name in slices}
    masks = np.stack([np.asarray(mask, dtype=np.float64) for mask in slices.values()], axis=1)
    table = np.stack([np.asarray(column, dtype=np.float64) for column in values.values()], axis=1)
    # [cases, slices * (metrics + 1)]: each slice's values and, last, how many cases it has
    weighed = np.concatenate([table, np.ones((len(table), 1))], axis=1)
    columns = (masks[:, :, None] * weighed[:, None, :]).reshape(len(table), -1)
    if users is not None:
        summed = np.zeros((int(users.max()) + 1, columns.shape[1]))
        np.add.at(summed, users, columns)
        columns = summed  # [users, slices * (metrics + 1)]
    sums = np.concatenate([counts @ columns for counts in _draws(len(columns), resamples, seed)])
    sums = sums.reshape(len(sums), len(slices), -1)  # [resamples, slices, metrics + 1]
    tail = 100 * (1 - level) / 2
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for i, name in enumerate(slices):
        drawn = sums[sums[:, i, -1] > 0, i]  # [resamples with a case, metrics + 1]
        if not len(drawn):
            found[name] = {}
            continue
        ends = np.percentile(drawn[:, :-1] / drawn[:, -1:], [tail, 100 - tail], axis=0)  # [2, metrics]
        found[name] = {metric: (float(ends[0, j]), float(ends[1, j])) for j, metric in enumerate(values)}
    return found


def _draws(users: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each user was drawn, float64 `[some resamples, users]`, until all are drawn."""
    generator = np.random.default_rng(seed)
    chunk = max(1, CELLS // users)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(0, users, size=(size, users), dtype=np.int32)
        drawn += np.arange(size, dtype=np.int32)[:, None] * np.int32(users)
        counts = np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users)
        yield counts.astype(np.float64)
