"""`ItemKNN`: what users who had the history's items also had.

Does not know what the items are, nor in which order training users had them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows, check_decay
from genrec.baselines.popularity import popularity_back_off
from genrec.baselines.ranked_lists import ranked_lists, with_back_off
from genrec.data import InteractionLog
from genrec.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class ItemKNN:
    """Ranks by the recency-weighted similarity of a history's items to every item.

    `score(i) = sum_j decay ** age_j * sim(i, j)` with `sim(i, j) = users(i and j) / (sqrt(users(i) *
    users(j)) + shrinkage)`: the cosine of the two items' vectors over users, drawn towards 0 where it stands
    on few users (Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms"). Items
    without a positive score follow in the order of popularity, with negative scores; so a history without a
    known item gets the order of popularity. The defaults are the best of a grid on the validation cases of
    Amazon Scientific and Beauty; `tune_item_knn` looks for those of other data.

    Args:
        train: The training log; interactions with items outside the catalog are left out.
        item_ids: The catalog.
        decay: Weight of a history item against the next newer one, above 0 and at most 1.
        shrinkage: Added to the cosine's denominator, in users; 0 = plain cosine.
        neighbours: Most similar items kept for each item; None = all.
        self_similarity: Similarity of an item to itself: 1 where people come back for the same item, 0 where
            not.
        name: Name in reports.

    Raises:
        DataError: A parameter out of range, or an empty catalog.
    """

    def __init__(
        self,
        train: InteractionLog,
        item_ids: Sequence[str],
        *,
        decay: float = 0.5,
        shrinkage: float = 100.0,
        neighbours: int | None = None,
        self_similarity: float = 0.0,
        name: str = "item-knn",
    ) -> None:
        check_decay(decay)
        if shrinkage < 0 or self_similarity < 0 or (neighbours is not None and neighbours < 1):
            raise DataError(
                "a parameter of item-kNN is out of range",
                received=f"shrinkage={shrinkage}, self_similarity={self_similarity}, neighbours={neighbours}",
                remedy="give shrinkage >= 0, self_similarity >= 0, and neighbours >= 1 or None",
            )
        self.name = name
        self.decay = decay
        self.shrinkage = shrinkage
        self.neighbours = neighbours
        self.self_similarity = self_similarity
        self.catalog = CatalogRows(item_ids)
        rows, users = self.catalog.training(train)
        self.back_off = popularity_back_off(np.bincount(rows, minlength=len(self.catalog)))
        together = co_occurrence(rows, users, len(self.catalog))
        self.similarity = shrunk_cosine(together, shrinkage, self_similarity)
        if neighbours is not None:
            self.similarity = nearest(self.similarity, neighbours)

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog after each history; the history's own items are not taken out.

        Args:
            histories: Item ids, oldest first; those outside the catalog are left out.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and scores, float32 `[n, k]`; `""` and minus infinity beyond the catalog's
            size.
        """
        return ranked_lists(self.catalog, histories, k, self._score)

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        weights = self.catalog.recency_weights(histories, self.decay)
        return with_back_off((weights @ self.similarity).toarray(), self.back_off)


def co_occurrence(rows: np.ndarray, users: np.ndarray, num_items: int) -> csr_matrix:
    """Number of users who had both items, float64 `[items, items]`; on the diagonal, who had the item."""
    from scipy.sparse import csr_matrix

    shape = (int(users.max()) + 1 if len(users) else 1, num_items)
    had = csr_matrix((np.ones(len(rows)), (users, rows)), shape=shape)  # [users, items]
    had.sum_duplicates()
    had.data[:] = 1.0
    return (had.T @ had).tocsr()


def shrunk_cosine(together: csr_matrix, shrinkage: float, self_similarity: float) -> csr_matrix:
    """Cosine over users with `shrinkage` added to the denominator, float32 `[items, items]`."""
    from scipy.sparse import csr_matrix

    users = together.diagonal()  # [items]
    pairs = together.tocoo()
    values = pairs.data / (np.sqrt(users[pairs.row] * users[pairs.col]) + shrinkage)
    values[pairs.row == pairs.col] = self_similarity
    similarity = csr_matrix((values.astype(np.float32), (pairs.row, pairs.col)), shape=together.shape)
    similarity.eliminate_zeros()
    similarity.sort_indices()
    return similarity


def nearest(similarity: csr_matrix, neighbours: int) -> csr_matrix:
    """Keeps the highest values of every row, equal ones in column order."""
    from scipy.sparse import csr_matrix

    rows = np.repeat(np.arange(similarity.shape[0]), np.diff(similarity.indptr))
    order = np.lexsort((similarity.indices, -similarity.data, rows))
    place = np.arange(len(order)) - similarity.indptr[rows[order]]  # place of an entry in its row's ranking
    kept = order[place < neighbours]
    triples = (similarity.data[kept], (rows[kept], similarity.indices[kept]))
    result = csr_matrix(triples, shape=similarity.shape)
    result.sort_indices()
    return result
