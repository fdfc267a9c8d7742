"""What a recommender answers with, and the one policy for odd histories, ids and numbers.

Does not know how a list was made.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from genrec.errors import DataError, DecodingError, is_count

Unknown = Literal["error", "skip"]
Source = Literal["model", "popularity", "text", "text+model"]
MOST_ITEMS = 10_000  # of one answer


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item_id: Its id in the item table.
        title: Its title, "" where the item table has none.
        score: What it was ranked by, larger is better: the summed log-probability in nats of its Semantic ID
            (`source` "model"), minus its rank ("popularity"), BM25 ("text"), or the reciprocal-rank sum of
            BM25 and the model ("text+model").
        certified: Whether it is proven that no item left out of the answer has a higher log-probability.
        semantic_id: Its tokens, such as ("<a_12>", "<b_201>", "<c_7>").
        source: What ranked it.
    """

    item_id: str
    title: str
    score: float
    certified: bool
    semantic_id: tuple[str, ...]
    source: Source = "model"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def checked_ids(item_ids: Any, what: str, kind: type[Any] = Collection) -> None:
    """Holds item ids to their form.

    Args:
        item_ids: The ids.
        what: What they are, such as "the history".
        kind: What may hold them.

    Raises:
        DataError: Ids that are no texts, or a text in place of a list.
    """
    if isinstance(item_ids, str) or not isinstance(item_ids, kind):
        remedy = f"pass [{item_ids!r}]" if isinstance(item_ids, str) else "pass a list of texts"
        raise DataError(f"{what} must be a list of item ids", received=repr(item_ids)[:200], remedy=remedy)
    wrong = [item for item in item_ids if not isinstance(item, str)]
    if wrong:
        raise DataError(
            "item ids are texts", received=repr(wrong[0])[:200], remedy="pass them as the item table has them"
        )


def known_items(
    catalog: Container[str], history: Sequence[str], unknown: Unknown = "error", what: str = "the history"
) -> list[str]:
    """A history, or another list of items, without unknown ids: those the catalog lacks or has retired.

    Raises:
        DataError: Unknown ids with `unknown="error"`, ids that are no texts, or a text in place of a list.
    """
    checked_ids(history, what, Sequence)
    if unknown not in ("error", "skip"):
        raise DataError(
            "unknown policy for unknown items", received=repr(unknown), remedy="use 'error' or 'skip'"
        )
    strangers = [item for item in history if item not in catalog]
    if strangers and unknown == "error":
        raise DataError(
            f"{what} names items that are not in the catalog",
            received=", ".join(repr(item)[:80] for item in strangers[:5]),
            remedy='leave them out, or pass unknown="skip"',
        )
    return [item for item in history if item in catalog]


def checked_query(query: object) -> str:
    """A query without blanks around it.

    Raises:
        DataError: It is no text.
    """
    if not isinstance(query, str):
        raise DataError(
            "a query is a text", received=repr(query)[:200], remedy='pass "lip balm under 10", say'
        )
    return query.strip()


def wanted_items(k: int, catalog_size: int) -> int:
    """How many items an answer may hold: k, or the whole catalog where that is smaller.

    Raises:
        DecodingError: k below 1 or no whole number, or more than 10,000 items in one answer.
    """
    if not is_count(k):
        raise DecodingError("asked for no item", received=f"k={k!r}", remedy="ask for k >= 1")
    wanted = min(int(k), catalog_size)
    if wanted > MOST_ITEMS:
        raise DecodingError(
            "asked for more items than one answer holds",
            received=f"k={k} of {catalog_size} items",
            remedy=f"ask for at most {MOST_ITEMS}; `score` rates any list of items",
        )
    return wanted
