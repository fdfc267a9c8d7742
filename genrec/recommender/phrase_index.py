"""`PhraseIndex`: which brands, categories and items of a catalog a text names.

Does not know what is to be done with them. Nothing is guessed: a name is found as whole words or not at all.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genrec.data import ItemTable

Named = Literal["brand", "category", "item"]
TOKEN = re.compile("[^\\W_]+(?:['\u2019][^\\W_]+)*")
YEAR = re.compile(r"\s*\(\d{4}\)$")
LONGEST = 12  # words of a name that are matched
BLOCK = 20_000  # items whose texts are split at once
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
        self._titles = table.column("title")
        self._item_ids = table.column("item_id")
        self._labels: list[tuple[Named, str]] = []  # brands and categories
        keys, owners = array("q"), array("q")  # of a name: hash of its words; label, or -1 - row of the item
        if "brand" in table.column_names:
            for brand in sorted(pc.unique(table.column("brand")).to_pylist()):
                self._label("brand", brand, keys, owners)
        if "categories" in table.column_names:
            for name in sorted(pc.unique(pc.list_flatten(table.column("categories"))).to_pylist()):
                self._label("category", name, keys, owners)
        for start in range(0, len(table), BLOCK):
            ids, titles = (part.slice(start, BLOCK).to_pylist() for part in (self._item_ids, self._titles))
            for row, (item, title) in enumerate(zip(ids, titles, strict=True), start=start):
                for words in map(words_of, dict.fromkeys(_said(item, title))):
                    if words:
                        keys.append(_key(words))
                        owners.append(-1 - row)
        # names by their hash, the first that has it: 16 bytes each, whatever they are
        known, first = np.unique(np.array(keys, dtype=np.int64), return_index=True)
        self._keys = array("q", known.tobytes())
        self._owners = array("q", np.array(owners, dtype=np.int64)[first].tobytes())

    def _label(self, kind: Named, name: str, keys: array[int], owners: array[int]) -> None:
        words = words_of(name)
        if not words:
            return
        keys.append(_key(words))
        owners.append(len(self._labels))
        if kind == "category":
            keys.append(_key([*words[:-1], singular(words[-1])]))
            owners.append(len(self._labels))
        self._labels.append((kind, name))

    def _named(self, words: Sequence[str]) -> tuple[Named, str, str] | None:
        """What words name: its kind, its value, and the name as it is written in the table."""
        key = _key(words)
        place = bisect_left(self._keys, key)
        if place == len(self._keys) or self._keys[place] != key:
            return None
        owner = self._owners[place]
        if owner >= 0:
            kind, name = self._labels[owner]
            return kind, name, name
        item, title = self._item_ids[-1 - owner].as_py(), self._titles[-1 - owner].as_py()
        written = next((said for said in _said(item, title) if words_of(said) == list(words)), None)
        return None if written is None else ("item", item, written)

    def mentions(self, text: str) -> list[Mention]:
        """Names in a text, in its order, none overlapping another."""
        return list(self._found(text))

    def _found(self, text: str) -> Iterator[Mention]:
        tokens = list(TOKEN.finditer(text))
        words = [_plain(token.group()) for token in tokens]
        place = 0
        while place < len(words):
            for length in range(min(LONGEST, len(words) - place), 0, -1):
                start, end = tokens[place].start(), tokens[place + length - 1].end()
                key = words[place : place + length]
                known = self._named(key)
                if known is None:
                    known = self._named([*key[:-1], singular(key[-1])])
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


def _said(item: str, title: str) -> tuple[str, ...]:
    """The names of an item."""
    short = len(item) < FEWEST_CHARACTERS or item.isdigit()
    return (title, YEAR.sub("", title), *(() if short else (item,)))


def words_of(name: str) -> list[str]:
    """The words by which a name is found; none of one that is too long for it."""
    words = [_plain(word) for word in TOKEN.findall(name)]
    return words if len(words) <= LONGEST else []


def _plain(word: str) -> str:
    return re.sub("['\u2019]s$", "", word.casefold())


def _key(words: Sequence[str]) -> int:
    return hash(" ".join(words))


def _words(table: pa.Table) -> tuple[frozenset[str], frozenset[str]]:
    """Words that descriptions write in small letters, and all words there are."""
    common: set[str] = set()
    every: set[str] = set()
    for name in ("title", "brand", "categories", "description"):
        if name not in table.column_names:
            continue
        for start in range(0, len(table), BLOCK):
            column = table.column(name).slice(start, BLOCK)
            texts = pc.list_flatten(column) if pa.types.is_list(column.type) else column
            pieces = pc.unique(pc.list_flatten(pc.utf8_split_whitespace(texts)))
            for piece in pieces.drop_null().to_pylist():
                found = TOKEN.findall(piece)
                every.update(word.casefold() for word in found)
                if name == "description":
                    common.update(word for word in found if word.islower())
    return frozenset(common), frozenset(every)
