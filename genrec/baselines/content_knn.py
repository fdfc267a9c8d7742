"""`ContentKNN`: items whose content is like that of the history's items.

Does not know what other users did, nor where the vectors come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows, check_decay
from genrec.baselines.popularity import popularity_back_off
from genrec.baselines.ranked_lists import best_columns, ranked_lists, with_back_off
from genrec.data import InteractionLog
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError

# Items compared with the catalog at once. Always this many, the last block padded: a matrix product of
# another shape may round differently, and then the list of a history would depend on its neighbours in the
# batch.
BLOCK = 256


class ContentKNN:
    """Ranks by the recency-weighted, sharpened cosine of content vectors; nothing is trained.

    `score(i) = sum_j decay ** age_j * max(cos(i, j), 0) ** power` over the history's items j other than i
    (`self_similarity` stands for i itself); 0 for i in the history where `repeats` is off. With a training
    log, items without a positive score follow in the order of popularity, with negative scores, and so a
    history without a known item gets the order of popularity; without one both get the canonical order.

    Args:
        vectors: Content vectors of at least the catalog; lengths do not matter.
        item_ids: The catalog; None = all items with a vector.
        power: Sharpens: the higher, the less many loosely similar items outweigh a close one.
        decay: Weight of a history item against the next newer one, above 0 and at most 1.
        self_similarity: Sharpened similarity of an item to itself: 1 where people come back for the same one,
            0 where not.
        repeats: Whether an item of the history scores by its likeness to the others there; off where nobody
            takes an item twice.
        train: Training log for the order of popularity.
        name: Name in reports.

    Raises:
        DataError: An item of the catalog has no vector, or a parameter is out of range.
    """

    def __init__(
        self,
        vectors: EmbeddingTable,
        item_ids: Sequence[str] | None = None,
        *,
        power: float = 8.0,
        decay: float = 0.4,
        self_similarity: float = 0.0,
        repeats: bool = True,
        train: InteractionLog | None = None,
        name: str = "content-knn",
    ) -> None:
        check_decay(decay)
        if power <= 0 or self_similarity < 0:
            raise DataError(
                "a parameter of content-kNN is out of range",
                received=f"power={power}, self_similarity={self_similarity}",
                remedy="give power > 0 and self_similarity >= 0",
            )
        self.name = name
        self.power = power
        self.decay = decay
        self.self_similarity = self_similarity
        self.repeats = repeats
        self.catalog = CatalogRows(vectors.item_ids if item_ids is None else item_ids)
        content = vectors.vectors_for(self.catalog.names.tolist()).astype(np.float32)  # [items, dim]
        lengths = np.linalg.norm(content, axis=1, keepdims=True)
        self.directions = np.divide(content, lengths, out=np.zeros_like(content), where=lengths > 0)
        counts = np.zeros(len(self.catalog), dtype=np.int64)
        if train is not None:
            counts += np.bincount(self.catalog.training(train)[0], minlength=len(self.catalog))
        self.back_off = popularity_back_off(counts)

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

    def shares(self, histories: Sequence[Sequence[str]], depth: int = 100) -> np.ndarray:
        """Scores as shares of 1, for a search that mixes them in.

        Args:
            histories: Item ids, oldest first; those outside the catalog are left out.
            depth: Items that get a share: the best of each history, as far as their scores are positive.

        Returns:
            float32 `[n, items]` in canonical order; all 0 where nothing is like the history.
        """
        dense = np.maximum(self._score([self.catalog.known(history) for history in histories]), 0)
        width = min(depth, dense.shape[1])
        kept = np.zeros_like(dense)
        columns = best_columns(dense, width)  # [n, width]
        np.put_along_axis(kept, columns, np.take_along_axis(dense, columns, axis=1), axis=1)
        total = kept.sum(axis=1, keepdims=True)
        found: np.ndarray = np.divide(kept, total, out=kept, where=total > 0)
        return found

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        from scipy.sparse import csr_matrix

        weights = self.catalog.recency_weights(histories, self.decay)  # [histories, items]
        used, columns = np.unique(weights.indices, return_inverse=True)
        shape = (len(histories), len(used))
        weights = csr_matrix((weights.data, columns, weights.indptr), shape=shape)  # [histories, used]
        scores = weights @ self._similarity(used)  # [histories, items]
        if not self.repeats:
            lines = [line for line, history in enumerate(histories) for _ in history]
            scores[lines, list(chain.from_iterable(histories))] = 0
        return with_back_off(scores, self.back_off)

    def _similarity(self, rows: np.ndarray) -> np.ndarray:
        """Sharpened cosines of some items to all, float32 `[rows, items]`."""
        similarity = np.empty((len(rows), len(self.catalog)), dtype=np.float32)
        padded = np.zeros((BLOCK, self.directions.shape[1]), dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            padded[: len(block)] = self.directions[block]
            cosine = (padded @ self.directions.T)[: len(block)]  # [block, items]
            sharpened = _sharpen(cosine, self.power)
            sharpened[np.arange(len(block)), block] = self.self_similarity
            similarity[start : start + len(block)] = sharpened
        return similarity


def _sharpen(cosine: np.ndarray, power: float) -> np.ndarray:
    """`max(cosine, 0) ** power`; powers of two by squaring, which is many times faster."""
    np.maximum(cosine, 0, out=cosine)
    while power >= 2 and power % 2 == 0:
        np.multiply(cosine, cosine, out=cosine)
        power /= 2
    return cosine if power == 1 else np.power(cosine, np.float32(power))
