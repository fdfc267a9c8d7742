"""`MarkovKNN`: what came right after an item, or soon after it, in the training histories.

Does not know what an item is like.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows, check_decay
from genrec.baselines.popularity import popularity_back_off
from genrec.baselines.ranked_lists import ranked_lists, with_back_off
from genrec.data import InteractionLog
from genrec.errors import DataError


class MarkovKNN:
    """Ranks by the successor counts of a history's last item: a first-order Markov chain.

    `score(i) = n(j -> i) / (sqrt(n(j -> any) * n(any -> i)) + shrinkage)` for the last item j, or the sum
    over all items of a history with the older ones weighing less; the cosine form keeps popular items from
    following everything. Items that never came after follow in the order of popularity, with negative scores;
    so a history without a known item gets the order of popularity.

    Args:
        train: The training log. Two interactions of a user count as neighbours when only items outside the
            catalog stand between them.
        item_ids: The catalog.
        shrinkage: Added to the denominator, in transitions; 0 = plain cosine.
        gaps: What a transition to the next item counts, to the one after it, and so on.
        decay: Weight of a history item against the next newer one; None = the last item alone.
        name: Name in reports.

    Raises:
        DataError: A negative shrinkage, no gap, a decay out of range, or an empty catalog.
    """

    def __init__(
        self,
        train: InteractionLog,
        item_ids: Sequence[str],
        *,
        shrinkage: float = 100.0,
        gaps: Sequence[float] = (1.0,),
        decay: float | None = None,
        name: str = "markov-knn",
    ) -> None:
        from scipy.sparse import csr_matrix

        if shrinkage < 0 or not gaps or min(gaps) < 0:
            raise DataError(
                "a Markov chain needs a gap and no negative number",
                received=f"shrinkage={shrinkage}, gaps={tuple(gaps)}",
                remedy="give a shrinkage of 0 or more, and gaps=(1.0,) or (1.0, 0.5, 0.3)",
            )
        if decay is not None:
            check_decay(decay)
        self.decay = decay
        self.name = name
        self.shrinkage = shrinkage
        self.catalog = CatalogRows(item_ids)
        rows, users = self.catalog.training(train)
        size = len(self.catalog)
        self.back_off = popularity_back_off(np.bincount(rows, minlength=size))
        counts = csr_matrix((size, size))
        for gap, weight in enumerate(gaps, start=1):
            same_user = users[gap:] == users[:-gap]
            before, after = rows[:-gap][same_user], rows[gap:][same_user]
            counts += csr_matrix((np.full(len(before), weight), (before, after)), shape=(size, size))
        left, entered = np.asarray(counts.sum(axis=1)).ravel(), np.asarray(counts.sum(axis=0)).ravel()
        pairs = counts.tocoo()
        values = pairs.data / (np.sqrt(left[pairs.row] * entered[pairs.col]) + shrinkage)
        self.successors = csr_matrix((values.astype(np.float32), (pairs.row, pairs.col)), shape=(size, size))

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog after each history's last known item, or all of them.

        Args:
            histories: Item ids, oldest first; those outside the catalog are left out.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and scores, float32 `[n, k]`; `""` and minus infinity beyond the catalog's
            size.
        """
        return ranked_lists(self.catalog, histories, k, self._score)

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        if self.decay is None:
            asked = self.catalog.recency_weights([history[-1:] for history in histories], decay=1.0)
        else:
            asked = self.catalog.recency_weights(histories, self.decay)
        return with_back_off((asked @ self.successors).toarray(), self.back_off)
