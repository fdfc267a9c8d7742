"""What an item's columns say of it in words: categories, brand, price band, distinctive words.

Does not know sentences, prompts or users: `genrec.tasks.attribute_texts` makes queries and preferences of it.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from genrec.data import ItemTable
from genrec.errors import DataError

Kind = Literal["category", "brand", "band", "word"]
KINDS: tuple[Kind, ...] = ("category", "brand", "band", "word")
BANDS = ("low", "middle", "high")
COLUMNS = ("categories", "brand", "price", "title", "description")
FEWEST_PRICES = 6  # a category with fewer priced items has no bands of its own
LONGEST = 60  # characters of a category or a brand that are still a name
WORD = r"(?u)\b[^\W\d_]{3,}\b"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ItemAttributes:
    """What is known of one item.

    Attributes:
        categories: Its categories, the rarest first; those of more than half of all items tell nothing and
            are left out.
        brand: Its brand, "" where unknown.
        band: `"low"`, `"middle"`, `"high"`: the third of prices it lies in, among the items of its rarest
            category with six prices or more; "" where unknown.
        words: Words of its title and description with the highest TF-IDF, in their order there.
    """

    categories: tuple[str, ...]
    brand: str
    band: str
    words: tuple[str, ...]

    def values(self, kind: Kind) -> tuple[str, ...]:
        """What is known of one kind, () where nothing is."""
        match kind:
            case "category":
                return self.categories
            case "word":
                return self.words
            case "brand":
                return (self.brand,) if self.brand else ()
        return (self.band,) if self.band else ()


class AttributeTable:
    """The attributes of all items of a table, the same whatever the order of its rows.

    A value is left out for an item where it holds the item's own id, or a bracket of `<` and `>`, in which
    marks and tokens are written.

    Args:
        items: Works with whichever of `categories`, `brand`, `price`, `title` and `description` there are.
        num_words: Distinctive words an item has at the most.

    Attributes:
        missing: Those of the five columns that are not there, or empty throughout.

    Raises:
        DataError: Not one of the columns has anything in it.
    """

    def __init__(self, items: ItemTable, *, num_words: int = 3) -> None:
        self.item_ids = items.canonical_ids
        rows = {item: row for row, item in enumerate(items.item_ids)}
        self._order = np.array([rows[item] for item in self.item_ids])
        values = {name: self._column(items, name) for name in COLUMNS}
        self.missing = tuple(name for name in COLUMNS if all(v in (None, "", []) for v in values[name]))
        if len(self.missing) == len(COLUMNS):
            raise DataError(
                "the item table has nothing to describe items by",
                received=f"columns {', '.join(items.columns)}",
                remedy=f"give it at least one of {', '.join(COLUMNS)}, with something in it",
            )
        if self.missing:
            logger.info("items are described without %s: the table has none", ", ".join(self.missing))
        self._row_of = {item: row for row, item in enumerate(self.item_ids)}
        categories = self._categories(values["categories"])
        brands = [_said(brand, item) for brand, item in zip(values["brand"], self.item_ids, strict=True)]
        bands = _bands(categories, values["price"])
        words = self._words(values, num_words)
        self._attributes = [
            ItemAttributes(*row) for row in zip(categories, brands, bands, words, strict=True)
        ]
        self._matches = self._postings()

    def __contains__(self, item_id: object) -> bool:
        """Whether the table has this item."""
        return item_id in self._row_of

    def __getitem__(self, item_id: str) -> ItemAttributes:
        """Attributes of an item.

        Raises:
            DataError: An item the table does not have.
        """
        row = self._row_of.get(item_id)
        if row is None:
            raise DataError(
                "no attributes are known of this item",
                received=repr(item_id),
                remedy="make the attributes of the table that has it",
            )
        return self._attributes[row]

    def matches(self, facts: Sequence[tuple[Kind, str]]) -> np.ndarray:
        """Items of which all these facts hold, int32 positions in `item_ids`, ascending.

        A word holds of every item whose title or description has it, distinctive there or not.
        """
        nothing = np.empty(0, dtype=np.int32)
        found = sorted((self._matches.get(fact, nothing) for fact in facts), key=len)
        rows = found[0] if found else np.arange(len(self.item_ids), dtype=np.int32)
        for other in found[1:]:
            if len(rows):
                nearest = np.minimum(np.searchsorted(other, rows), len(other) - 1)
                rows = rows[other[nearest] == rows]
        return rows

    def _column(self, items: ItemTable, name: str) -> list[Any]:
        if name not in items.columns:
            return [None] * len(items)
        values: list[Any] = items.table.column(name).take(self._order).to_pylist()
        return values

    def _categories(self, column: list[Any]) -> list[tuple[str, ...]]:
        named = [
            tuple(dict.fromkeys(filter(None, (_said(name, item) for name in names or ()))))
            for names, item in zip(column, self.item_ids, strict=True)
        ]
        counts = Counter(name for names in named for name in names)
        return [
            # Of two that are as rare, the one further down the path comes first.
            tuple(sorted((n for n in names[::-1] if 2 * counts[n] <= len(named)), key=counts.__getitem__))
            for names in named
        ]

    def _words(self, values: dict[str, list[Any]], num_words: int) -> list[tuple[str, ...]]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = [
            " ".join(filter(None, parts))
            for parts in zip(values["title"], values["title"], values["description"], strict=True)
        ]
        vectorizer = TfidfVectorizer(
            token_pattern=WORD,
            stop_words="english",
            sublinear_tf=True,
            min_df=2 if len(texts) >= 20 else 1,  # a word of one item alone is a name, not what people type
            max_df=0.5 if len(texts) >= 4 else 1.0,
        )
        try:
            weights = vectorizer.fit_transform(texts)
        except ValueError:  # there is not one word, or none that is left
            self._columns: dict[str, np.ndarray] = {}
            return [()] * len(texts)
        terms: list[str] = vectorizer.get_feature_names_out().tolist()
        chosen = []
        for row, item in enumerate(self.item_ids):
            span = slice(weights.indptr[row], weights.indptr[row + 1])
            ranked = sorted(zip((-weights.data[span]).tolist(), weights.indices[span].tolist(), strict=True))
            said = " ".join([values["brand"][row] or "", *(values["categories"][row] or ())]).lower()
            known = {_stem(word) for word in re.findall(r"\w+", said)}
            new = (terms[term] for _, term in ranked if _stem(terms[term]) not in known)
            fit = (word for word in new if _said(word, item))
            chosen.append(tuple(sorted(islice(fit, num_words), key=texts[row].lower().index)))
        used = set().union(*chosen)
        by_term = weights.tocsc()
        self._columns = {
            term: np.sort(by_term.indices[by_term.indptr[place] : by_term.indptr[place + 1]]).astype(np.int32)
            for place, term in enumerate(terms)
            if term in used
        }
        return chosen

    def _postings(self) -> dict[tuple[Kind, str], np.ndarray]:
        found: dict[tuple[Kind, str], list[int]] = {}
        for row, attributes in enumerate(self._attributes):
            for kind in KINDS[:-1]:
                for value in attributes.values(kind):
                    found.setdefault((kind, value), []).append(row)
        postings = {fact: np.array(rows, dtype=np.int32) for fact, rows in found.items()}
        return postings | {("word", word): rows for word, rows in self._columns.items()}


def _said(value: str | None, item_id: str) -> str:
    """Gives a value as it may be said of an item, "" where it may not."""
    text = " ".join((value or "").split())
    if not text or len(text) > LONGEST or "<" in text or ">" in text:
        return ""
    if item_id.lower() not in text.lower():
        return text
    return "" if re.search(rf"(?<!\w){re.escape(item_id)}(?!\w)", text, re.IGNORECASE) else text


def _stem(word: str) -> str:
    return word.removesuffix("s")


def _bands(categories: list[tuple[str, ...]], column: list[Any]) -> list[str]:
    prices = np.array([np.nan if price is None else price for price in column], dtype=np.float64)
    members: dict[str | None, list[int]] = {None: []}  # None: all items
    for row in np.flatnonzero(~np.isnan(prices)).tolist():
        for group in (None, *categories[row]):
            members.setdefault(group, []).append(row)
    cuts = {
        group: np.quantile(prices[rows], (1 / 3, 2 / 3))
        for group, rows in members.items()
        if len(rows) >= FEWEST_PRICES
    }
    bands = []
    for price, names in zip(prices.tolist(), categories, strict=True):
        group = next((name for name in names if name in cuts), None)
        if np.isnan(price) or group not in cuts or cuts[group][0] == cuts[group][1]:
            bands.append("")
            continue
        low, high = cuts[group]
        bands.append(BANDS[0] if price <= low else BANDS[2] if price >= high else BANDS[1])
    return bands
