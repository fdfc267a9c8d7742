"""`BM25`: items whose words are those of the history's items, or of a search query.

Does not know what other users did, nor what words mean.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows, check_decay
from genrec.baselines.ranked_lists import best_columns, empty_lists, ranked_lists
from genrec.data import ItemTable
from genrec.embeddings import TextTemplate
from genrec.embeddings.text_template import DEFAULT_FIELDS
from genrec.errors import ConfigError

# Scores of history items kept for the next history: 1 GiB of float32.
KNOWN_CELLS = 1 << 28


class BM25:
    """BM25 (Lucene's variant, by the package bm25s) over item texts.

    A history is a sum of queries: `score(i) = sum_j decay ** age_j * bm25(text_j, i) / bm25(text_j, j)` over
    its items j other than i, so that a long text counts no more than a short one. Items that share no word
    with it follow in canonical order.

    Args:
        items: Texts of at least the catalog.
        item_ids: The catalog; None = all items.
        fields: Item columns that are searched.
        query_fields: Item columns that a history's items ask with.
        k1: How soon more of the same word stops to count.
        b: How much a long text is held against it, 0 to 1.
        decay: Weight of a history item against the next newer one.
        name: Name in reports.

    Raises:
        ConfigError: The package bm25s is not installed.
        DataError: An item without a row in the table, or a decay out of range.
    """

    def __init__(
        self,
        items: ItemTable,
        item_ids: Sequence[str] | None = None,
        *,
        fields: Sequence[str] = DEFAULT_FIELDS,
        query_fields: Sequence[str] = ("title",),
        k1: float = 1.5,
        b: float = 0.75,
        decay: float = 0.4,
        name: str = "bm25",
    ) -> None:
        check_decay(decay)
        self.name = name
        self.decay = decay
        self.catalog = CatalogRows(items.item_ids if item_ids is None else item_ids)
        names = self.catalog.names.tolist()
        self._bm25s = _bm25s()
        self._index = self._bm25s.BM25(k1=k1, b=b)
        words = self._words(TextTemplate(tuple(fields)).texts(items, names))
        self._has_words = any(words)  # bm25s cannot index texts without any
        if self._has_words:
            self._index.index(words, show_progress=False)
        self._asked = self._words(TextTemplate(tuple(query_fields)).texts(items, names))
        self._known: dict[int, np.ndarray] = {}

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

    def rank_queries(self, queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog for search queries; results as in `rank`, items without a shared word score 0."""
        items, scores = empty_lists(len(queries), k)
        width = min(k, len(self.catalog))
        for i, words in enumerate(self._words(list(queries))):
            dense = self._scores(words)[None]  # [1, items]
            columns = best_columns(dense, width)
            items[i, :width] = self.catalog.names[columns[0]]
            scores[i, :width] = dense[0, columns[0]]
        return items, scores

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        scores = np.zeros((len(histories), len(self.catalog)), dtype=np.float32)
        for i, history in enumerate(histories):
            for age, row in enumerate(reversed(history)):
                scores[i] += np.float32(self.decay**age) * self._similarity(row)
        return scores

    def _similarity(self, row: int) -> np.ndarray:
        """What an item's text scores on all items, against its own; 0 for itself; float32 `[items]`."""
        found = self._known.pop(row, None)
        if found is None:
            scores = self._scores(self._asked[row])
            own = float(scores[row])
            scores[row] = 0
            found = scores / np.float32(own if own > 0 else max(float(scores.max()), 1.0))
            if len(self._known) >= max(1, KNOWN_CELLS // len(scores)):
                del self._known[next(iter(self._known))]  # the one that was asked for least recently
        self._known[row] = found
        return found

    def _scores(self, words: list[str]) -> np.ndarray:
        known = [word for word in words if word in self._index.vocab_dict] if self._has_words else []
        if not known:
            return np.zeros(len(self.catalog), dtype=np.float32)
        return np.asarray(self._index.get_scores(known), dtype=np.float32)

    def _words(self, texts: list[str]) -> list[list[str]]:
        found: list[list[str]] = self._bm25s.tokenize(texts, return_ids=False, show_progress=False)
        return found


def _bm25s() -> Any:
    try:
        with _without_jax():
            import bm25s
    except ImportError as error:
        raise ConfigError(
            "BM25 needs the package bm25s",
            received=str(error),
            remedy="pip install 'genrec-toolkit[eval]'",
        ) from error
    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it reports every index it builds
    return bm25s


@contextmanager
def _without_jax() -> Iterator[None]:
    """Keeps bm25s from starting JAX, which would take most of the memory of the GPU that models are on.

    Where JAX is installed, importing bm25s runs a top-k with it; its top-k is not used here.
    """
    if "jax" in sys.modules:  # the user's own, started or not
        yield
        return
    sys.modules["jax"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["jax"]
