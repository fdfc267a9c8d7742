"""`MarkovKNN`: what came right after the last item in the training histories.

Does not know anything of a history but its last item.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows
from genrec.baselines.popularity import popularity_back_off
from genrec.baselines.ranked_lists import ranked_lists, with_back_off
from genrec.data import InteractionLog
from genrec.errors import DataError


class MarkovKNN:
    """Ranks by the successor counts of a history's last item: a first-order Markov chain.

    `score(i) = n(j -> i) / (sqrt(n(j -> any) * n(any -> i)) + shrinkage)` for the last item j; the cosine
    form keeps popular items from following everything. Items that never came after j follow in the order of
    popularity, with negative scores; so a history without a known item gets the order of popularity.

    Args:
        train: The training log. Two interactions of a user count as neighbours when only items outside the
            catalog stand between them.
        item_ids: The catalog.
        shrinkage: Added to the denominator, in transitions; 0 = plain cosine.
        name: Name in reports.

    Raises:
        DataError: A negative shrinkage, or an empty catalog.
    """

    def __init__(
        self,
        train: InteractionLog,
        item_ids: Sequence[str],
        *,
        shrinkage: float = 100.0,
        name: str = "markov-knn",
    ) -> None:
        from scipy.sparse import csr_matrix

        if shrinkage < 0:
            raise DataError(
                "the shrinkage is negative", received=f"shrinkage={shrinkage}", remedy="give 0 or more"
            )
        self.name = name
        self.shrinkage = shrinkage
        self.catalog = CatalogRows(item_ids)
        rows, users = self.catalog.training(train)
        size = len(self.catalog)
        self.back_off = popularity_back_off(np.bincount(rows, minlength=size))
        same_user = users[1:] == users[:-1]
        before, after = rows[:-1][same_user], rows[1:][same_user]
        counts = csr_matrix((np.ones(len(before)), (before, after)), shape=(size, size))
        counts.sum_duplicates()
        pairs = counts.tocoo()
        left, entered = np.bincount(before, minlength=size), np.bincount(after, minlength=size)
        values = pairs.data / (np.sqrt(left[pairs.row].astype(np.float64) * entered[pairs.col]) + shrinkage)
        self.successors = csr_matrix((values.astype(np.float32), (pairs.row, pairs.col)), shape=(size, size))

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog after each history's last known item.

        Args:
            histories: Item ids, oldest first; those outside the catalog are left out.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and scores, float32 `[n, k]`; `""` and minus infinity beyond the catalog's
            size.
        """
        return ranked_lists(self.catalog, histories, k, self._score)

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        last = self.catalog.recency_weights([history[-1:] for history in histories], decay=1.0)
        return with_back_off((last @ self.successors).toarray(), self.back_off)
