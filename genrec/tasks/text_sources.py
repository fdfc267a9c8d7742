"""Where `itemsearch` and `preferenceobtain` get their words from, as two small protocols.

Does not know how the words are made: from attributes, or by a language model of the user's choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from genrec.catalog import Catalog

REMEMBERED = 1 << 16  # preferences kept, so that memory does not grow with the number of users


class QuerySource(Protocol):
    """Search requests for items."""

    def queries(self, item_id: str) -> tuple[str, ...]:
        """What someone who looks for this item might type; () where nothing is known of it."""
        ...


class PreferenceSource(Protocol):
    """Summaries of what a user likes."""

    def preference(self, history: Sequence[str]) -> str:
        """What a history of item ids, oldest first, says of its user; "" where it says nothing."""
        ...


class RememberedPreferences:
    """The preferences of parts of histories, each asked of its source once in a while and not every time.

    Args:
        source: Where the words come from.
        catalog: Its rows are what histories hold.
    """

    def __init__(self, source: PreferenceSource, catalog: Catalog) -> None:
        self.source = source
        self.catalog = catalog
        self._known: dict[int, str] = {}

    def preference(self, rows: np.ndarray, index: int) -> str:
        """What a history says of its user.

        Args:
            rows: int `[items]`, catalog rows, oldest first.
            index: Number of the history: the same number must always mean the same history.
        """
        words = self._known.get(index)
        if words is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            words = self.source.preference([self.catalog.item_ids[row] for row in rows.tolist()]).strip()
            self._known[index] = words
        return words
