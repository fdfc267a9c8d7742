"""Groups of equal rows in a matrix of codes.

Does not know what the codes are for.
"""

from __future__ import annotations

import numpy as np


def sort_rows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order of the rows of ``[n, L]`` by their codes, and where each group of equal rows starts in it.

    Equal rows keep their order. A matrix without columns is one group.

    Returns:
        int64 ``[n]`` row numbers, int64 ``[groups]`` starts.
    """
    if codes.shape[1] == 0:
        return np.arange(len(codes)), np.zeros(min(len(codes), 1), dtype=np.int64)
    order = np.lexsort(codes.T[::-1])
    ordered = codes[order]
    new = np.ones(len(codes), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, np.flatnonzero(new)


def shared_rows(codes: np.ndarray) -> np.ndarray:
    """Whether each row of ``[n, L]`` stands there more than once, bool ``[n]``."""
    order, starts = sort_rows(codes)
    sizes = np.diff(np.append(starts, len(order)))
    shared = np.empty(len(order), dtype=bool)
    shared[order] = np.repeat(sizes > 1, sizes)
    return shared
