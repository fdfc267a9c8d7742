"""`DenseRetrieval`: a sentence encoder and a faiss index; a history becomes a text query.

Does not know what other users did; unlike content-kNN it reads the history as one text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows
from genrec.baselines.ranked_lists import empty_lists
from genrec.data import ItemTable
from genrec.embeddings import EmbeddingTable, TextTemplate
from genrec.errors import ConfigError, DataError


class DenseRetrieval:
    """Ranks by the cosine of a query's vector to the items' vectors (exact inner-product index).

    Args:
        vectors: Content vectors of at least the catalog, by the encoder that `encode` stands for.
        encode: Texts to vectors float `[n, d]`, such as `TextItemEncoder.encode_texts`.
        items: Texts of the history's items; None = only `rank_queries` can be used.
        item_ids: The catalog; None = all items with a vector.
        query_fields: Item columns that a history's items ask with.
        query_items: Newest items of a history whose texts make the query, newest first.
        repeat: Whether the query's own items may come first; where not, they come last.
        name: Name in reports.

    Raises:
        ConfigError: The package faiss-cpu is not installed.
        DataError: An item of the catalog has no vector, or fewer than one item makes the query.
    """

    def __init__(
        self,
        vectors: EmbeddingTable,
        encode: Callable[[Sequence[str]], np.ndarray],
        items: ItemTable | None = None,
        item_ids: Sequence[str] | None = None,
        *,
        query_fields: Sequence[str] = ("title",),
        query_items: int = 2,
        repeat: bool = False,
        name: str = "dense",
    ) -> None:
        if query_items < 1:
            raise DataError(
                "a query needs an item", received=f"query_items={query_items}", remedy="give 1 or more"
            )
        self.name = name
        self.encode = encode
        self.query_items = query_items
        self.repeat = repeat
        self.catalog = CatalogRows(vectors.item_ids if item_ids is None else item_ids)
        names = self.catalog.names.tolist()
        self._texts = None if items is None else TextTemplate(tuple(query_fields)).texts(items, names)
        self._index = _faiss().IndexFlatIP(vectors.dim)
        self._index.add(_directions(vectors.vectors_for(names)))

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog after each history; one without a known item gets an empty list.

        Args:
            histories: Item ids, oldest first; those outside the catalog are left out.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and cosines, float32 `[n, k]` (less 2 for the query's own items, unless
            they may repeat); `""` and minus infinity where a list is shorter.

        Raises:
            DataError: There are no item texts.
        """
        if self._texts is None:
            raise DataError(
                "a history cannot be asked with, for there are no item texts",
                remedy="pass items=, the item table",
            )
        newest = [self.catalog.known(history)[::-1][: self.query_items] for history in histories]
        filled = [i for i, rows in enumerate(newest) if rows]
        items, scores = empty_lists(len(histories), k)
        if not filled:
            return items, scores
        texts = [" ".join(self._texts[row] for row in newest[i]) for i in filled]
        found, cosines = self._nearest(texts, min(len(self.catalog), k + self.query_items))
        for i, rows, values in zip(filled, found, cosines, strict=True):
            if not self.repeat:
                values = np.where(np.isin(rows, newest[i]), values - 2, values)
            order = np.argsort(-values, kind="stable")[:k]
            items[i, : len(order)] = self.catalog.names[rows[order]]
            scores[i, : len(order)] = values[order]
        return items, scores

    def rank_queries(self, queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog for search queries; items, object `[n, k]`, and cosines, float32 `[n, k]`."""
        items, scores = empty_lists(len(queries), k)
        if queries:
            rows, cosines = self._nearest(list(queries), min(k, len(self.catalog)))
            items[:, : rows.shape[1]] = self.catalog.names[rows]
            scores[:, : rows.shape[1]] = cosines
        return items, scores

    def _nearest(self, texts: list[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows, int64 `[n, k]`, and cosines, float32 `[n, k]`, best first."""
        cosines, rows = self._index.search(_directions(self.encode(texts)), k)
        return np.asarray(rows), np.asarray(cosines)


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1, float32 and contiguous; zero vectors stay zero."""
    floats = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(floats, axis=1, keepdims=True)
    directions: np.ndarray = np.divide(floats, lengths, out=np.zeros_like(floats), where=lengths > 0)
    return directions


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ConfigError(
            "dense retrieval needs the package faiss-cpu",
            received=str(error),
            remedy="pip install 'genrec-toolkit[eval]'",
        ) from error
    return faiss
