"""What a recommender answers with, and how a ranker's list becomes an answer.

Does not know how a list was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.errors import DataError, DecodingError
from genrec.ranking import Ranker


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item_id: Its id in the item table.
        score: Summed log-probability in nats of its Semantic ID (for the answer to an empty history: minus
            its rank).
        semantic_id: Its tokens, such as ("<a_12>", "<b_201>", "<c_7>").
        title: Its title, "" where the item table has none.
    """

    item_id: str
    score: float
    semantic_id: tuple[str, ...]
    title: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def recommended(
    ranker: Ranker,
    catalog: Catalog,
    items: ItemTable,
    history: Sequence[str],
    k: int,
    *,
    exclude_history: bool = True,
    unknown: Literal["error", "skip"] = "error",
) -> list[Recommendation]:
    """The k best next items of a ranker; arguments and errors as in `GenerativeRecommender.recommend`."""
    if isinstance(history, str):
        raise DataError(
            "a history is a list of item ids", received=repr(history), remedy=f"pass [{history!r}]"
        )
    if k < 1:
        raise DecodingError("asked for no item", received=f"k={k}", remedy="ask for k >= 1")
    if unknown not in ("error", "skip"):
        raise DataError(
            "unknown policy for unknown items", received=repr(unknown), remedy="use 'error' or 'skip'"
        )
    strangers = [item for item in history if item not in catalog]
    if strangers and unknown == "error":
        raise DataError(
            "the history names items that are not in the catalog",
            received=", ".join(map(repr, strangers[:5])),
            remedy='leave them out, or pass unknown="skip"',
        )
    excluded = set(history) if exclude_history else set()
    wanted = min(k + len(excluded), len(catalog))
    ids, scores = ranker.rank([list(history)], wanted)
    found = [
        Recommendation(item, float(score), catalog.tokens(item), items.title(item))
        for item, score in zip(ids[0], scores[0], strict=True)
        if item and item not in excluded
    ]
    return found[:k]
