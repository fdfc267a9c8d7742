"""What the codes of an item mean, by the items that share them, and which items are nearest.

Does not know models: a code has no meaning but that of its items.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.errors import DataError, is_count

WORD = re.compile(r"[^\W\d_]{3,}")
SEEN = 2000  # items of a prefix that are read at the most, spread evenly over it


@dataclass(frozen=True)
class CodeMeaning:
    """What the items under a prefix of the Semantic ID have in common.

    Attributes:
        prefix: Tokens from the first to this one.
        num_items: Items under it.
        categories: Categories by how much commoner they are here than in the catalog, with their share here.
        words: Distinctive words of titles and descriptions, most distinctive first.
    """

    prefix: tuple[str, ...]
    num_items: int
    categories: tuple[tuple[str, float], ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class NearItem:
    """An item near another one.

    Attributes:
        item_id: Its id.
        title: Its title.
        shared_codes: Codes both IDs begin with.
    """

    item_id: str
    title: str
    shared_codes: int


@dataclass(frozen=True)
class Explanation:
    """Why an item has its Semantic ID.

    Attributes:
        item_id: The item.
        title: Its title.
        semantic_id: Its tokens.
        codes: The meaning of each prefix, the first code first.
        nearest: Items by the codes they share with it, and among equals by likeness of their texts.
    """

    item_id: str
    title: str
    semantic_id: tuple[str, ...]
    codes: tuple[CodeMeaning, ...]
    nearest: tuple[NearItem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """The explanation for people, a line a code."""
        lines = [f"{self.title or self.item_id}: {' '.join(self.semantic_id)}"]
        for code in self.codes:
            shown = ", ".join(f"{name} {share:.0%}" for name, share in code.categories)
            about = "; ".join(filter(None, [shown, ", ".join(code.words)]))
            lines.append(f"  {' '.join(code.prefix)}: {code.num_items} item(s); {about}")
        lines += [
            f"  near: {near.title or near.item_id} ({near.shared_codes} codes)" for near in self.nearest
        ]
        return "\n".join(lines)


def explain(
    catalog: Catalog, items: ItemTable, item_id: str, *, nearest: int = 5, most: int = 5
) -> Explanation:
    """What an item's codes mean.

    Args:
        catalog: Items and their Semantic IDs.
        items: Their texts.
        item_id: An item of the catalog.
        nearest: Near items wanted, 0 = none.
        most: Words and categories of a code at the most, 0 = none.

    Raises:
        DataError: An item that is not in the catalog, or a negative number of items or words.
    """
    for name, number in (("nearest", nearest), ("most", most)):
        if not is_count(number, 0):
            raise DataError(
                f"{name} counts what is shown of an item",
                received=f"{name}={number!r}",
                remedy="pass a whole number of 0 or more",
            )
    row = int(catalog.rows([item_id])[0])
    tokens = catalog.tokens(item_id)
    everywhere = np.flatnonzero(catalog.active)
    all_words, all_names, total = _counts(catalog, items, everywhere)
    meanings = []
    members = everywhere
    depth = {int(r): 0 for r in everywhere}
    for position in range(len(tokens)):
        members = members[catalog.codes[members, position] == catalog.codes[row, position]]
        depth |= {int(r): position + 1 for r in members}
        words, names, count = _counts(catalog, items, members)
        meanings.append(
            CodeMeaning(
                tokens[: position + 1],
                len(members),
                tuple(
                    (name, names[name] / count) for name in _distinct(names, count, all_names, total, most)
                ),
                tuple(_distinct(words, count, all_words, total, most)),
            )
        )
    own, _, _ = _counts(catalog, items, np.array([row]))
    ranked = sorted((r for r in depth if r != row), key=lambda r: -depth[r])
    least = depth[ranked[min(nearest, len(ranked)) - 1]] if ranked else 0
    rivals = [r for r in ranked if depth[r] >= least][: max(SEEN, nearest)] if nearest else []
    likeness = {r: _overlap(own, _counts(catalog, items, np.array([r]))[0]) for r in rivals}
    near = sorted(rivals, key=lambda r: (-depth[r], -likeness[r], r))[:nearest]
    return Explanation(
        item_id,
        items.title(item_id),
        tokens,
        tuple(meanings),
        tuple(NearItem(catalog.item_ids[r], items.title(catalog.item_ids[r]), depth[r]) for r in near),
    )


def _counts(catalog: Catalog, items: ItemTable, rows: np.ndarray) -> tuple[Counter[str], Counter[str], int]:
    """In how many of the items a word and a category stand, and how many were read."""
    if len(rows) > SEEN:
        rows = rows[np.linspace(0, len(rows) - 1, SEEN).astype(np.int64)]
    ids = [catalog.item_ids[r] for r in rows.tolist()]
    words: Counter[str] = Counter()
    for text in items.texts(("title", "description"), ids):
        words.update({word.lower() for word in WORD.findall(text)} - ENGLISH_STOP_WORDS)
    names: Counter[str] = Counter()
    if "categories" in items.columns:
        for row in items.subset(ids).table.column("categories").to_pylist() if ids else []:
            names.update(set(row or ()))
    return words, names, len(ids)


def _distinct(
    here: Counter[str], count: int, everywhere: Counter[str], total: int, most: int
) -> Sequence[str]:
    """Names by share here times the logarithm of how much commoner they are here than everywhere."""

    def weight(name: str) -> float:
        share, usual = here[name] / count, max(everywhere[name], here[name]) / total
        return share * math.log(share / usual) if share > usual else 0.0

    ranked = sorted((-round(weight(name), 9), name) for name in here)
    return [name for value, name in ranked if value < 0][:most]


def _overlap(own: Counter[str], other: Counter[str]) -> float:
    return len(own.keys() & other.keys()) / max(1, len(own.keys() | other.keys()))
