"""Queries for an item and preferences of a history, made from attributes alone: a source that anyone has.

Does not know prompts, Semantic IDs or models. LC-Rec (arXiv 2311.09049, section 3.2) had a commercial
language model write both from reviews; `genrec.tasks.text_generator` is for who has a model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from genrec.config import read_yaml
from genrec.data import ItemTable
from genrec.errors import ConfigError
from genrec.tasks.attributes import KINDS, AttributeTable, ItemAttributes, Kind

DECAY = 0.8  # weight of an item of a history against the next newer one
NUM_CATEGORIES, NUM_BRANDS, NUM_WORDS = 3, 2, 3  # most that a preference names
LEAST_BRAND, LEAST_BAND = 0.2, 0.5  # share of all brands' or bands' weight that it takes to be named


class AttributeTexts:
    """A `QuerySource` and a `PreferenceSource` that need nothing but the item table.

    The same items give the same texts, whatever the order of their rows. What a query states is true of the
    item, and the query is distinctive: at most `max_matches` items have all the attributes it names, or, for
    an item that has no such query, as few as can be.

    Args:
        items: With any of the columns `categories`, `brand`, `price`, `title` and `description`.
        num_words: Distinctive words used of an item.
        max_matches: Items that may fit a query as well as its own does.

    Attributes:
        attributes: The attributes of the items; its `missing` says which columns are not there.

    Raises:
        ConfigError: `num_words` below 0 or `max_matches` below 1.
        DataError: The table has none of the columns.
    """

    def __init__(self, items: ItemTable, *, num_words: int = 3, max_matches: int = 20) -> None:
        if num_words < 0 or max_matches < 1:
            raise ConfigError(
                "queries cannot be made with these settings",
                received=f"num_words={num_words}, max_matches={max_matches}",
                remedy="use num_words of 0 or more and max_matches of 1 or more",
            )
        self.attributes = AttributeTable(items, num_words=num_words)
        self.max_matches = max_matches
        self._queries: dict[str, tuple[str, ...]] = {}

    def queries(self, item_id: str) -> tuple[str, ...]:
        """Search requests that fit an item, each in another wording; () where nothing is known of it.

        Raises:
            DataError: An item the table does not have.
        """
        if item_id not in self._queries:
            self._queries[item_id] = self._make_queries(self.attributes[item_id])
        return self._queries[item_id]

    def preference(self, history: Sequence[str]) -> str:
        """What a history of item ids, oldest first, says of its user; "" where it says nothing.

        Names the leading categories, brands, price band and words, where an item counts 0.8 times what the
        next newer one does. Items the table does not have are passed over.
        """
        weights: dict[Kind, dict[str, float]] = {kind: {} for kind in KINDS}
        known = [self.attributes[item] for item in reversed(history) if item in self.attributes]
        for age, attributes in enumerate(known):
            for kind, sums in weights.items():
                values = attributes.values(kind)
                if kind == "category":
                    values = values[:1]  # the rarest says the most
                for value in values:
                    sums[value] = sums.get(value, 0.0) + DECAY**age
        phrases, lot = _phrases(), _lot("\n".join(history))
        bands = _leading(weights["band"], 1, LEAST_BAND)
        found = {
            "categories": [_plain(name) for name in _leading(weights["category"], NUM_CATEGORIES)],
            "brands": _leading(weights["brand"], NUM_BRANDS, LEAST_BRAND),
            "band": [_pick(phrases["bands"][band], lot) for band in bands],
            "words": _leading(weights["word"], NUM_WORDS),
        }
        sentences = []
        for number, (name, wordings) in enumerate(phrases["preferences"].items()):
            if found[name]:
                wording = _pick(wordings, lot >> (16 * number))
                sentences.append(_filled(wording, {name: _listed(found[name])}))
        return " ".join(sentences)

    def _make_queries(self, attributes: ItemAttributes) -> tuple[str, ...]:
        phrases = _phrases()
        made: list[tuple[int, str]] = []
        counts: dict[tuple[tuple[Kind, str], ...], int] = {}
        for number, wording in enumerate(phrases["queries"]):
            slots = dict.fromkeys(re.findall(r"{(\w+)}", wording))
            stated = tuple(sorted(fact for slot in slots for fact in _facts_of(slot, attributes)))
            values = _values(attributes, phrases["bands"], number)
            if not all(values[slot] for slot in slots):
                continue
            if stated not in counts:
                counts[stated] = len(self.attributes.matches(stated))
            text = _filled(wording, values)
            made.append((counts[stated], text[0].upper() + text[1:] if text.endswith((".", "?")) else text))
        most = max(self.max_matches, min((matches for matches, _ in made), default=0))
        return tuple(dict.fromkeys(text for matches, text in made if matches <= most))


@cache
def _phrases() -> Mapping[str, Any]:
    return read_yaml(Path(__file__).with_name("attribute_phrases.yaml"))


def _facts_of(slot: str, attributes: ItemAttributes) -> list[tuple[Kind, str]]:
    """Gives the facts that a slot of a query states."""
    kind: Kind = next((kind for kind in KINDS if kind == slot), "word")
    values = attributes.values(kind)
    return [(kind, value) for value in (values if kind == "word" else values[:1])]


def _values(attributes: ItemAttributes, bands: Mapping[str, list[str]], number: int) -> dict[str, str]:
    """Gives the text of every slot of a query, "" where nothing is known."""
    return {
        "category": _plain(attributes.categories[0]) if attributes.categories else "",
        "brand": attributes.brand,
        "band": _pick(bands[attributes.band], number) if attributes.band else "",
        "words": _listed(attributes.words),
        "keywords": " ".join(attributes.words),
    }


def _filled(wording: str, values: Mapping[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda slot: values[slot[1]], wording)


def _leading(weights: Mapping[str, float], count: int, least: float = 0.0) -> list[str]:
    bar = least * sum(weights.values())
    # Rounded, so that two sums of the same weights in another order are equal.
    ranked = sorted((-round(weight, 9), value) for value, weight in weights.items() if weight >= bar)
    return [value for _, value in ranked[:count]]


def _plain(name: str) -> str:
    """Gives a category in small letters, but for words such as DVD, iPod and B12."""
    return " ".join(
        word.lower() if word[1:] == word[1:].lower() and not re.search(r"\d", word) else word
        for word in name.split()
    )


def _listed(values: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(values[:-1]), *values[-1:]]))


def _pick(wordings: Sequence[str], number: int) -> str:
    return wordings[number % len(wordings)]


def _lot(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")
