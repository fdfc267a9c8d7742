"""Sinkhorn's algorithm: an assignment of rows to columns that uses all columns evenly.

Does not know codes; works on numpy arrays and torch tensors alike.
"""

from __future__ import annotations

from typing import Any

EPSILON = 0.003  # LC-Rec (arXiv 2311.09049), appendix: entropy weight on centred distances
ITERATIONS = 50


def centred(distances: Any) -> Any:
    """Distances float64 ``[n, K]`` moved and scaled to lie between -1 and 1."""
    middle = (distances.max() + distances.min()) / 2
    return (distances - middle) / (distances.max() - middle + 1e-5)


def transport_plan(kernel: Any, iterations: int = ITERATIONS) -> Any:
    """Scales rows and columns of a positive matrix by turns until the columns' masses are even.

    Args:
        kernel: float64 ``[n, K]``, ``exp(-centred distance / epsilon)``.
        iterations: Turns.

    Returns:
        float64 ``[n, K]`` whose columns sum to ``n / K`` and whose rows sum to about 1 (LC-Rec, equation 4).
    """
    rows, columns = kernel.shape
    row_scale = kernel.sum(1) * 0 + 1  # [n], of the kernel's kind and device
    column_scale = kernel.sum(0) * 0 + 1  # [K]
    for _ in range(iterations):
        row_scale = 1.0 / (kernel @ column_scale)
        column_scale = (rows / columns) / (kernel.T @ row_scale)
    return row_scale[:, None] * kernel * column_scale[None, :]
