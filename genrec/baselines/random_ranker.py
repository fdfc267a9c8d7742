"""`RandomRanker`: lists drawn at random, the floor of every table.

Does not know the training log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from genrec.baselines.catalog_rows import CatalogRows
from genrec.baselines.ranked_lists import ranked_lists


class RandomRanker:
    """Ranks by numbers drawn from the seed and the history, so that a history always gets the same list.

    Args:
        item_ids: The catalog.
        seed: Another seed gives other lists.
        name: Name in reports.

    Raises:
        DataError: The catalog is empty.
    """

    def __init__(self, item_ids: Sequence[str], seed: int = 0, *, name: str = "random") -> None:
        self.name = name
        self.seed = seed
        self.catalog = CatalogRows(item_ids)

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws a list for each history.

        Args:
            histories: Item ids, oldest first; those outside the catalog are left out.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and scores, float32 `[n, k]` between 0 and 1; `""` and minus infinity
            beyond the catalog's size.
        """
        return ranked_lists(self.catalog, histories, k, self._score)

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        scores = np.empty((len(histories), len(self.catalog)), dtype=np.float32)
        for i, history in enumerate(histories):
            names = [self.catalog.names[row] for row in history]
            digest = hashlib.sha256(json.dumps([self.seed, names]).encode()).digest()
            generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
            scores[i] = generator.random(len(self.catalog), dtype=np.float32)
        return scores
