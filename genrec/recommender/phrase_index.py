"""`PhraseIndex`: which brands, categories and items of a catalog a text names.

Does not know what is to be done with them. Nothing is guessed: a name is found as whole words or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from genrec.data import ItemTable

Named = Literal["brand", "category", "item"]
TOKEN = re.compile("[^\\W_]+(?:['\u2019][^\\W_]+)*")
YEAR = re.compile(r"\s*\(\d{4}\)$")
LONGEST = 12  # words of a name that are matched
FEWEST_CHARACTERS = 4  # of a name of one word that is also a common word


@dataclass(frozen=True)
class Mention:
    """A name in a text.

    Attributes:
        kind: What it names.
        value: The brand or category as the table has it, or the item's id.
        start: Its place in the text.
        end: End of it.
    """

    kind: Named
    value: str
    start: int
    end: int


class PhraseIndex:
    """Names of a catalog by their words.

    Brands and titles are matched in any case, categories in singular and plural too, titles with or without a
    year in brackets. A name of one word that descriptions of the catalog use in small letters ("Home", "Up")
    is found only as it is written. Of names that overlap the longest is taken; of two of one length a brand
    goes before a category, that before a title. A title that several items have names the first of them in
    canonical order. Item ids are names too, but for short ones and numbers.

    Args:
        items: The columns.
        item_ids: The catalog.

    Attributes:
        words: All words of titles, brands, categories and descriptions, in small letters.
    """

    def __init__(self, items: ItemTable, item_ids: Sequence[str]) -> None:
        table = items.subset(item_ids).table
        self._common, self.words = _words(table)
        self._names: dict[tuple[str, ...], tuple[Named, str, str]] = {}
        if "brand" in table.column_names:
            for brand in sorted(set(table.column("brand").to_pylist())):
                self._add("brand", brand, brand)
        if "categories" in table.column_names:
            names = {name for row in table.column("categories").to_pylist() for name in row or ()}
            for name in sorted(names):
                self._add("category", name, name)
        titles = table.column("title").to_pylist()
        for item, title in zip(table.column("item_id").to_pylist(), titles, strict=True):
            self._add("item", item, title)
            self._add("item", item, YEAR.sub("", title))
            if len(item) >= FEWEST_CHARACTERS and not item.isdigit():
                self._add("item", item, item)

    def _add(self, kind: Named, value: str, name: str) -> None:
        words = [re.sub("['\u2019]s$", "", word.casefold()) for word in TOKEN.findall(name)]
        if not words or len(words) > LONGEST:
            return
        self._names.setdefault(tuple(words), (kind, value, name))
        if kind == "category":
            self._names.setdefault((*words[:-1], singular(words[-1])), (kind, value, name))

    def mentions(self, text: str) -> list[Mention]:
        """Names in a text, in its order, none overlapping another."""
        return list(self._found(text))

    def _found(self, text: str) -> Iterator[Mention]:
        tokens = list(TOKEN.finditer(text))
        words = [re.sub("['\u2019]s$", "", token.group().casefold()) for token in tokens]
        place = 0
        while place < len(words):
            for length in range(min(LONGEST, len(words) - place), 0, -1):
                start, end = tokens[place].start(), tokens[place + length - 1].end()
                key = tuple(words[place : place + length])
                known = self._names.get(key)
                if known is None:
                    known = self._names.get((*key[:-1], singular(key[-1])))
                    if known is not None and known[0] != "category":
                        known = None
                if known is not None and (length > 1 or self._certain(known, text[start:end], key[0])):
                    yield Mention(known[0], known[1], start, end)
                    place += length - 1
                    break
            place += 1

    def _certain(self, known: tuple[Named, str, str], written: str, word: str) -> bool:
        kind, _, name = known
        if kind == "category" or word not in self._common:
            return len(word) > 1
        return written == name.strip() and (kind == "brand" or len(written) >= FEWEST_CHARACTERS)


def singular(word: str) -> str:
    """A word without the ending of an English plural: brushes, berries, soaps."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _words(table: pa.Table) -> tuple[frozenset[str], frozenset[str]]:
    """Words that descriptions write in small letters, and all words there are."""
    common: set[str] = set()
    every: set[str] = set()
    for name in ("title", "brand", "categories", "description"):
        if name not in table.column_names:
            continue
        for value in table.column(name).to_pylist():
            for text in value if isinstance(value, list) else (value or "",):
                found = TOKEN.findall(text)
                every.update(word.casefold() for word in found)
                if name == "description":
                    common.update(word for word in found if word.islower())
    return frozenset(common), frozenset(every)
