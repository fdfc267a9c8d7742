"""Dense scores to ranked lists, a bounded number of histories at a time, ties in canonical order.

Does not know where the scores come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows
from genrec.errors import DataError

# Scores held at once: 16 MiB of float32. A scorer may hold a few times as much beside them.
CELLS = 1 << 22


def ranked_lists(
    catalog: CatalogRows,
    histories: Sequence[Sequence[str]],
    k: int,
    score: Callable[[list[list[int]]], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks the whole catalog after each history.

    Args:
        catalog: The items ranked.
        histories: Item ids, oldest first; those outside the catalog are left out.
        k: Items a history.
        score: Histories as catalog rows -> scores float32 `[n, items]`, higher is better; a row of scores
            must depend on its own history only.

    Returns:
        Items, object `[n, k]`, and scores, float32 `[n, k]`; `""` and minus infinity beyond the catalog's
        size.

    Raises:
        DataError: k is below 1.
    """
    items, scores = empty_lists(len(histories), k)
    width = min(k, len(catalog))
    chunk = max(1, CELLS // len(catalog))
    for start in range(0, len(histories), chunk):
        part = slice(start, min(start + chunk, len(histories)))
        dense = score([catalog.known(history) for history in histories[part]])  # [chunk, items]
        columns = best_columns(dense, width)  # [chunk, width]
        items[part, :width] = catalog.names[columns]
        scores[part, :width] = np.take_along_axis(dense, columns, axis=1)
    return items, scores


def empty_lists(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Lists without an item: object `[n, k]` of `""`, float32 `[n, k]` of minus infinity.

    Raises:
        DataError: k is below 1.
    """
    if k < 1:
        raise DataError("a list holds at least one item", received=f"k={k}", remedy="ask for k >= 1")
    return np.full((n, k), "", dtype=object), np.full((n, k), -np.inf, dtype=np.float32)


def best_columns(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k highest scores a row, best first, equal scores in column order.

    Args:
        scores: float32 `[n, items]` without NaN.
        k: At most the number of columns.

    Returns:
        int64 `[n, k]`.
    """
    if not len(scores):
        return np.zeros((0, k), dtype=np.int64)
    worst = np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]  # [n]: the k-th score
    rows, columns = np.nonzero(scores >= worst[:, None])
    tied = scores[rows, columns] == worst[rows]
    # of those that tie for the last places, the first in column order
    before = np.cumsum(tied) - tied
    first = np.searchsorted(rows, np.arange(len(scores)))
    places = k - np.bincount(rows[~tied], minlength=len(scores))  # [n]
    chosen = columns[~tied | (before - before[first][rows] < places[rows])].reshape(-1, k)  # [n, k]
    order = np.argsort(-np.take_along_axis(scores, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def with_back_off(scores: np.ndarray, back_off: np.ndarray) -> np.ndarray:
    """Puts items without a positive score below all others, in the order of the back-off.

    Args:
        scores: float32 `[n, items]`.
        back_off: float32 `[items]`, all below 0.
    """
    return np.where(scores > 0, scores, back_off)  # [n, items]
