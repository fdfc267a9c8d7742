"""The protocols `Ranker` and `QueryRanker`: what baselines, the generator and the evaluators agree on.

Does not know anything that ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

__all__ = ["QueryRanker", "Ranker"]


class Ranker(Protocol):
    """Anything that lists the next items of a history, best first.

    A ranker does not take the history's items out of its list: whether they may be recommended again is the
    caller's rule, one for all rankers of a table.

    Attributes:
        name: Name in reports.
    """

    name: str

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the k best items after each history.

        A history's list depends on that history alone, never on the others of the call. Items that the ranker
        does not know are left out of a history.

        Args:
            histories: Item ids, oldest first; a history may be empty.
            k: Items a history.

        Returns:
            Item ids, object `[n, k]`, best first, and their scores, float32 `[n, k]`. Where a list is shorter
            than k the rest is `""` with a score of minus infinity.
        """
        ...


class QueryRanker(Protocol):
    """Anything that lists the items a text asks for, best first: a search query, or a dialogue so far.

    Attributes:
        name: Name in reports.
    """

    name: str

    def rank_queries(self, queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the k best items for each query.

        A query's list depends on that query alone, never on the others of the call.

        Args:
            queries: Texts; a text may be empty.
            k: Items a query.

        Returns:
            Item ids and scores, as `Ranker.rank` returns them.
        """
        ...
