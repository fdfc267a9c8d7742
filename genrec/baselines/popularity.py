"""`Popularity`: the same list for everyone, the items that most interactions of the training log name.

Does not know the histories it ranks for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows
from genrec.baselines.ranked_lists import best_columns, empty_lists
from genrec.data import InteractionLog


class Popularity:
    """Ranks by the number of training interactions; equal counts in canonical order.

    Args:
        train: The training log; interactions with items outside the catalog are left out.
        item_ids: The catalog.
        name: Name in reports.
    """

    def __init__(self, train: InteractionLog, item_ids: Sequence[str], *, name: str = "popularity") -> None:
        self.name = name
        self.catalog = CatalogRows(item_ids)
        rows, _ = self.catalog.training(train)
        self.counts = np.bincount(rows, minlength=len(self.catalog)).astype(np.float32)  # [items]

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most popular items, once a history; scores are counts.

        Args:
            histories: Item ids; only their number matters.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and scores, float32 `[n, k]`; `""` and minus infinity beyond the catalog's
            size.
        """
        items, scores = empty_lists(len(histories), k)
        columns = best_columns(self.counts[None, :], min(k, len(self.catalog)))[0]
        items[:, : len(columns)] = self.catalog.names[columns]
        scores[:, : len(columns)] = self.counts[columns]
        return items, scores


def popularity_back_off(counts: np.ndarray) -> np.ndarray:
    """Scores from -1 to below 0 in the order of counts, equal ones in canonical order; float32 `[items]`."""
    order = best_columns(counts[None, :].astype(np.float32), len(counts))[0]
    back_off = np.empty(len(counts), dtype=np.float32)
    back_off[order] = -(np.arange(len(counts)) + 1) / len(counts)
    return back_off
