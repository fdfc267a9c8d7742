"""The catalog as numbered rows in canonical order; histories and training logs as rows of it.

Does not know how items are scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrec.data import InteractionLog, canonical_order
from genrec.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Older items whose weight is smaller than this are left out: their scores would leave the range of float32.
SMALLEST_WEIGHT = 1e-30


class CatalogRows:
    """The items that are ranked, numbered in canonical order.

    Args:
        item_ids: The catalog, in any order; an id that stands twice counts once.

    Attributes:
        names: Item ids, object `[items]`.

    Raises:
        DataError: The catalog is empty.
    """

    def __init__(self, item_ids: Iterable[str]) -> None:
        ordered = canonical_order(item_ids)
        if not ordered:
            raise DataError(
                "there is no item to rank", received="an empty catalog", remedy="pass the item ids"
            )
        self.names = np.array(ordered, dtype=object)
        self._row = {item: row for row, item in enumerate(ordered)}

    def __len__(self) -> int:
        """Number of items."""
        return len(self.names)

    def known(self, history: Sequence[str]) -> list[int]:
        """Rows of a history's items, oldest first; items outside the catalog are left out."""
        return [self._row[item] for item in history if item in self._row]

    def training(self, log: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
        """All interactions with items of the catalog: rows int32 `[m]` and user numbers int64 `[m]`.

        User after user, oldest first.
        """
        histories = log.histories()
        rows = np.array([self._row.get(item, -1) for item in histories.item_ids], dtype=np.int32)
        rows = rows[histories.items]  # [interactions]
        users = np.repeat(np.arange(len(histories.user_ids)), np.diff(histories.offsets))
        return rows[rows >= 0], users[rows >= 0]

    def recency_weights(self, histories: Sequence[Sequence[int]], decay: float) -> csr_matrix:
        """Weights `decay ** age` of histories given as rows, float32 `[histories, items]`.

        The newest item has age 0, the one before it age 1. An item that stands twice keeps both weights.
        Entries of a row of the matrix stand newest first, so that sums over them are formed in one order
        whatever the batch.
        """
        from scipy.sparse import csr_matrix

        oldest = int(np.log(SMALLEST_WEIGHT) / np.log(decay)) if decay < 1 else None
        weights: list[float] = []
        columns: list[int] = []
        offsets = [0]
        for history in histories:
            newest_first = history[::-1][: None if oldest is None else oldest + 1]
            columns.extend(newest_first)
            weights.extend(decay**age for age in range(len(newest_first)))
            offsets.append(len(columns))
        shape = (len(histories), len(self))
        data = np.array(weights, dtype=np.float32)
        return csr_matrix((data, np.array(columns, dtype=np.int64), np.array(offsets)), shape=shape)


def check_decay(decay: float) -> None:
    """Refuses a recency decay outside (0, 1].

    Raises:
        DataError: It is outside.
    """
    if not 0 < decay <= 1:
        raise DataError(
            "the recency decay is the weight of an item against the next newer one",
            received=f"decay={decay}",
            remedy="give a number above 0 and at most 1",
        )
