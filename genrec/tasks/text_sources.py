"""Where `itemsearch` and `preferenceobtain` get their words from, as two small protocols.

Does not know how the words are made: from attributes, or by a language model of the user's choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


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
