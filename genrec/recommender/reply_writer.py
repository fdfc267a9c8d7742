"""Composed replies: a sentence from a template, the items with reasons that quote their metadata.

Does not know models or sessions: the same turn gives the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from genrec.config import read_yaml
from genrec.data import ItemTable
from genrec.recommender.chat_reply import ItemEvent, NamedItem, Reason, TextEvent, displayed
from genrec.recommender.conversation_state import ConversationState
from genrec.recommender.filters import Filters
from genrec.recommender.phrase_index import TOKEN
from genrec.recommender.recommendations import Recommendation

MOST_REASONS = 3


class ReplyWriter:
    """Writes one reply.

    Args:
        items: Metadata to quote.
        turn: Number of the turn; chooses among wordings.

    Attributes:
        text: What is written so far.
        items_named: The items in it.
    """

    def __init__(self, items: ItemTable, turn: int = 0) -> None:
        self.items = items
        self.turn = turn
        self.text = ""
        self.items_named: list[NamedItem] = []
        self._sent, self._sent_items = 0, 0

    def unsent(self) -> Iterator[TextEvent | ItemEvent]:
        """What was written since the last call, in pieces: an item's name is one, its item follows."""
        named, self._sent_items = self.items_named[self._sent_items :], len(self.items_named)
        for item in named:
            for start, end in ((self._sent, item.start), (item.start, item.end)):
                if start < end:
                    yield TextEvent(self.text[start:end])
            yield ItemEvent(item)
            self._sent = item.end
        if self._sent < len(self.text):
            yield TextEvent(self.text[self._sent :])
            self._sent = len(self.text)

    def say(self, *keys: str, **slots: object) -> None:
        """Adds a sentence of the data file, with a blank before it."""
        self.text += (" " if self.text and not self.text.endswith("\n") else "") + wording(
            keys, self.turn, **slots
        )

    def name(self, recommendation: Recommendation, reasons: Sequence[Reason] = ()) -> None:
        """Adds an item's name and remembers its place."""
        start = len(self.text)
        self.text += displayed(recommendation.title) or recommendation.item_id
        self.items_named.append(NamedItem(recommendation, start, len(self.text), tuple(reasons)))

    def list_item(self, number: int, recommendation: Recommendation, state: ConversationState) -> None:
        """Adds a numbered line for an item, with its reasons."""
        self.text += f"\n{number}. "
        reasons = self.reasons(recommendation, state)
        self.name(recommendation, reasons)
        if reasons:
            self.text += ": " + ", ".join(reason.text for reason in reasons)

    def details(self, recommendation: Recommendation) -> None:
        """Adds what the table says of an item."""
        row = self.items.row(recommendation.item_id)
        self.text += "\n" if self.text else ""
        self.name(recommendation)
        told = []
        if row.get("price") is not None:
            told.append(_filled("details", "price", price=_money(row["price"])))
        if row.get("brand"):
            told.append(_filled("details", "brand", brand=displayed(row["brand"])))
        if row.get("categories"):
            told.append(_filled("details", "categories", categories=displayed(", ".join(row["categories"]))))
        if row.get("description"):
            told.append(_filled("details", "description", quote=displayed(row["description"], 400)))
        about = "; ".join(told) or wording(("details", "nothing"), 0)
        self.text += f": {about}" + ("" if about.endswith("”") else ".")

    def reasons(self, recommendation: Recommendation, state: ConversationState) -> list[Reason]:
        """Why an item is named: what was asked for and its row has, at most three."""
        row = self.items.row(recommendation.item_id)
        filters = state.filters
        found = []
        for word in filters.words:
            quote = self._quote(row, word)
            if quote is not None:
                found.append(Reason(quote[0], quote[1], _filled("reasons", "quote", quote=quote[1])))
        found += self._likeness(row, state)
        if row.get("price") is not None and (filters.min_price is not None or filters.max_price is not None):
            price = _money(row["price"])
            found.append(Reason("price", price, _filled("reasons", "price", price=price)))
        if filters.brands and row.get("brand"):
            brand = displayed(row["brand"])
            found.append(Reason("brand", brand, _filled("reasons", "brand", brand=brand)))
        if filters.categories:
            wanted = {name.casefold() for name in filters.categories}
            for name in row.get("categories") or ():
                if name.casefold() in wanted:
                    shown = displayed(name)
                    found.append(
                        Reason("categories", shown, _filled("reasons", "categories", categories=shown))
                    )
        for word in TOKEN.findall(state.query):
            quote = self._quote(row, word)
            if quote is not None:
                found.append(Reason(quote[0], quote[1], _filled("reasons", "quote", quote=quote[1])))
        before = (*state.history, *state.likes)
        if not found and recommendation.source == "model" and before:
            title = displayed(self.items.title(before[-1]), 60) or before[-1]
            found.append(Reason("", title, _filled("reasons", "history", title=title)))
        if not found:
            names = row.get("categories") or ()
            if names:
                found.append(_in_category(names[-1]))
        unique = {(reason.column, reason.value): reason for reason in reversed(found)}
        return [r for r in found if unique.pop((r.column, r.value), None) is not None][:MOST_REASONS]

    def _likeness(self, row: Mapping[str, Any], state: ConversationState) -> list[Reason]:
        """What an item shares with the one it is to resemble."""
        if not state.focus or state.focus[-1] not in self.items:
            return []
        like = self.items.row(state.focus[-1])
        title = displayed(like["title"], 60) or state.focus[-1]
        for column in ("categories", "brand"):
            mine, other = row.get(column) or [], like.get(column) or []
            shared = (
                [name for name in reversed(mine) if name in other]
                if isinstance(mine, list)
                else [mine] * (mine == other and bool(mine))
            )
            if shared:
                quote = displayed(shared[0])
                return [Reason(column, quote, _filled("reasons", "shared", quote=quote, title=title))]
        return []

    def _quote(self, row: Mapping[str, Any], phrase: str) -> tuple[str, str] | None:
        """The sentence of the description, else the title, brand or category that mentions a phrase."""
        words = r"\s+".join(map(re.escape, phrase.split()))
        pattern = re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)
        for sentence in re.split(r"(?<=[.!?])\s+", row.get("description") or ""):
            if pattern.search(sentence):
                return "description", displayed(sentence)
        for column in ("title", "brand", "categories"):
            values = row.get(column) or ()
            for value in values if isinstance(values, list | tuple) else (values,):
                if pattern.search(value):
                    return column, displayed(value)
        return None


def demands(filters: Filters, items: ItemTable) -> str:
    """Filters in words, with titles in place of ids."""
    shown = []
    for part in filters.parts():
        if part.exclude_items:
            item = part.exclude_items[0]
            shown.append(f"not “{displayed(items.title(item), 60) if item in items else displayed(item)}”")
        else:
            shown += part.describe()
    return ", ".join(displayed(text) for text in shown)


def wording(keys: Sequence[str], turn: int, **slots: object) -> str:
    """A sentence of the data file by its keys, the turn choosing among several."""
    entry: Any = _wordings()
    for key in keys:
        entry = entry[key]
    text = entry[turn % len(entry)] if isinstance(entry, list) else entry
    return re.sub(r"{(\w+)}", lambda slot: str(slots[slot[1]]), text)


def _in_category(name: str) -> Reason:
    shown = displayed(name)
    return Reason("categories", shown, _filled("reasons", "categories", categories=shown))


def _filled(*keys: str, **slots: object) -> str:
    return wording(keys, 0, **slots)


@cache
def _wordings() -> Mapping[str, Any]:
    return read_yaml(Path(__file__).with_name("replies.yaml"))


def _money(price: float) -> str:
    return f"{price:.2f}"
