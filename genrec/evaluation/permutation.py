"""The paired permutation test between two rankers on the same cases.

Does not know what the values mean.
"""

from __future__ import annotations

import numpy as np

# Signs held at once.
CELLS = 1 << 23


def permutation_test(
    differences: np.ndarray, *, permutations: int = 10_000, seed: int = 0, users: np.ndarray | None = None
) -> np.ndarray:
    """Two-sided p-values of mean differences under exchange of the two rankers, user by user.

    If the rankers were alike, which of a user's two values belongs to which ranker would be arbitrary. So the
    sign of every user's difference is drawn at random, the same draws for every metric, and
    `p = (1 + draws at least as far from 0 as the measured sum) / (1 + permutations)`: the measured order
    counts as one draw, which keeps the test exact and p above 0 (Phipson & Smyth 2010, "Permutation p-values
    should never be zero", section 3; Smucker et al. 2007, section 2.1).

    Args:
        differences: One ranker's values less the other's, float64 `[cases, metrics]`.
        permutations: Draws.
        seed: Of the draws.
        users: The user of each case, numbered from 0, int64 `[cases]`: the cases of one user change sign
            together. None = every case has a user of its own.

    Returns:
        float64 `[metrics]`; 1 where no user has a difference.
    """
    if users is not None:
        summed = np.zeros((int(users.max()) + 1 if len(users) else 0, differences.shape[1]))
        np.add.at(summed, users, differences)
        differences = summed  # [users, metrics]
    differences = differences[(differences != 0).any(axis=1)]  # the sign of a zero changes nothing
    n, metrics = differences.shape
    if not n:
        return np.ones(metrics)
    total = differences.sum(axis=0)  # [metrics]
    # sums that are equal on paper must not differ by how they were rounded
    slack = 1e-12 * np.abs(differences).sum(axis=0)
    generator = np.random.default_rng(seed)
    as_far = np.zeros(metrics, dtype=np.int64)
    chunk = max(1, CELLS // n)
    for start in range(0, permutations, chunk):
        size = min(chunk, permutations - start)
        # a draw's bits begin at a byte of their own, so that chunks change nothing
        width = -(-n // 8)
        raw = np.frombuffer(generator.bytes(size * width), dtype=np.uint8).reshape(size, width)
        kept = np.unpackbits(raw, axis=1, count=n).astype(np.float64)  # [size, n], 1 = as measured
        sums = 2 * (kept @ differences) - total  # [size, metrics]
        as_far += (np.abs(sums) >= np.abs(total) - slack).sum(axis=0)
    p_values: np.ndarray = (1 + as_far) / (1 + permutations)
    return p_values
