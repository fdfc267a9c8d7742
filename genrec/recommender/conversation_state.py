"""What a conversation has come to: likes, dislikes, filters, what was shown; and how a message changes it.

Does not know models or wordings. A state is a value: a change gives a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from genrec.config import build, to_mapping
from genrec.data import ItemTable
from genrec.recommender.filters import Filters
from genrec.recommender.intents import Intent

CENT = 0.01
SHOWN = 1000  # items shown before that are remembered


@dataclass(frozen=True)
class ConversationState:
    """Where a conversation stands.

    Attributes:
        history: Item ids, oldest first: what the user came with, has or chose.
        likes: Item ids the user likes, the newest last.
        dislikes: Item ids that are not to come again.
        focus: Item ids the answer is to resemble ("more like the second one").
        query: What was asked for in words that are no filter.
        filters: What every item has to fulfil.
        shown: The last reply's items, in its order.
        seen: All items shown so far.
        skipped: Of these, those that are not to come again ("something else").
    """

    history: tuple[str, ...] = ()
    likes: tuple[str, ...] = ()
    dislikes: tuple[str, ...] = ()
    focus: tuple[str, ...] = ()
    query: str = ""
    filters: Filters = field(default_factory=Filters)
    shown: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = to_mapping(self)
        return {**plain, "filters": self.filters.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConversationState:
        """Reads `to_dict`.

        Raises:
            ConfigError: Unknown keys and wrong values, all at once.
        """
        return build(cls, values, source="conversation state")

    def with_shown(self, item_ids: Sequence[str]) -> ConversationState:
        """The state after a reply that shows these items; one without any leaves it as it was."""
        if not item_ids:
            return self
        seen = tuple(dict.fromkeys((*self.seen, *item_ids)))[-SHOWN:]
        return replace(self, shown=tuple(item_ids), seen=seen)

    @property
    def left_out(self) -> frozenset[str]:
        """Items that are not recommended: what the user has, likes, dislikes, or has skipped."""
        return frozenset((*self.history, *self.likes, *self.dislikes, *self.skipped))


class StateChanges:
    """Carries out what messages ask for.

    Args:
        items: Prices and categories.
    """

    def __init__(self, items: ItemTable) -> None:
        self.items = items

    def apply(self, state: ConversationState, intents: Sequence[Intent]) -> ConversationState:
        """The state after what a message asks for; `undo` is the session's affair.

        The newest word counts: a limit, brand or category takes the place of an older one unless it is
        "also" wanted, and what contradicts it goes. A new category starts a new search: words and query of
        the old one go, limits on price, brands and what was ruled out stay.
        """
        wanted = [intent.value for intent in intents if intent.kind == "category"]
        narrow = set(self._narrowest(wanted))
        fresh = False
        for intent in intents:
            if intent.kind == "category" and intent.value not in narrow:
                continue
            if intent.kind == "category" and not intent.added and not fresh:
                state = replace(
                    state, filters=replace(state.filters, words=()), query="", focus=(), skipped=()
                )
            if intent.kind == "query" and not fresh:
                state = replace(state, focus=(), skipped=())
            fresh = fresh or intent.kind in ("category", "query", "word", "more_like")
            state = self._applied(state, intent)
        return state

    def _applied(self, state: ConversationState, intent: Intent) -> ConversationState:
        filters, value = state.filters, intent.value
        match intent.kind:
            case "reset":
                return ConversationState(history=state.history)
            case "forget":
                return replace(state, filters=_forgotten(filters, value))
            case "max_price" | "min_price":
                return replace(state, filters=_limited(filters, intent.kind, intent.amount))
            case "cheaper" | "dearer":
                price = self.reference_price(state, value)
                if price is None or (intent.kind == "cheaper" and price < CENT):
                    return state
                if intent.kind == "cheaper":
                    return replace(state, filters=_limited(filters, "max_price", round(price - CENT, 2)))
                return replace(state, filters=_limited(filters, "min_price", round(price + CENT, 2)))
            case "brand" | "category" | "word":
                return replace(state, filters=_wanted(filters, _FIELDS[intent.kind], value, intent.added))
            case "not_brand" | "not_category" | "not_word":
                return replace(state, filters=_unwanted(filters, _FIELDS[intent.kind[4:]], value))
            case "like" | "more_like":
                focus = (value,) if intent.kind == "more_like" else state.focus
                return replace(
                    state,
                    likes=(*_others(state.likes, value), value),
                    dislikes=_others(state.dislikes, value),
                    focus=focus,
                    query="" if intent.kind == "more_like" else state.query,
                )
            case "dislike":
                return replace(
                    state,
                    dislikes=(*_others(state.dislikes, value), value),
                    likes=_others(state.likes, value),
                    focus=_others(state.focus, value),
                )
            case "choose" | "own":
                return replace(
                    state, history=(*state.history, value), dislikes=_others(state.dislikes, value)
                )
            case "more":
                return replace(state, skipped=tuple(dict.fromkeys((*state.skipped, *state.seen))))
            case "query":
                return replace(state, query=value)
        return state

    def reference_price(self, state: ConversationState, item_id: str) -> float | None:
        """What "cheaper" compares with: the item's price, else the middle price of what was shown last."""
        if "price" not in self.items.columns:
            return None
        asked = [item_id] if item_id else list(state.shown)
        prices = [self.items.row(item)["price"] for item in asked if item in self.items]
        known = [price for price in prices if price is not None]
        return float(np.median(known)) if known else None

    def _narrowest(self, names: Sequence[str]) -> list[str]:
        """Categories less those that hold another one: of "hair care shampoos" the shampoos."""
        if len(names) < 2 or "categories" not in self.items.columns:
            return list(names)
        members: dict[str, set[int]] = {name: set() for name in names}
        for row, found in enumerate(self.items.table.column("categories").to_pylist()):
            for name in found or ():
                if name in members:
                    members[name].add(row)
        return [a for a in names if not any(a != b and members[b] < members[a] for b in names)]


_FIELDS = {"brand": "brands", "category": "categories", "word": "words"}


def _limited(filters: Filters, name: str, price: float) -> Filters:
    other = "min_price" if name == "max_price" else "max_price"
    opposite = getattr(filters, other)
    clash = opposite is not None and (opposite > price if name == "max_price" else opposite < price)
    return _with(filters, {name: float(price)} | ({other: None} if clash else {}))


def _wanted(filters: Filters, name: str, value: str, added: bool) -> Filters:
    mine: tuple[str, ...] = getattr(filters, name)
    kept = mine if added or name == "words" else ()
    changed = {
        name: _newest(kept, value),
        f"exclude_{name}": _less(getattr(filters, f"exclude_{name}"), value),
    }
    return _with(filters, changed)


def _unwanted(filters: Filters, name: str, value: str) -> Filters:
    excluded = f"exclude_{name}"
    changed = {
        excluded: _newest(getattr(filters, excluded), value),
        name: _less(getattr(filters, name), value),
    }
    return _with(filters, changed)


def _forgotten(filters: Filters, part: str) -> Filters:
    if part == "price":
        return replace(filters, min_price=None, max_price=None)
    name = {"brand": "brands", "category": "categories"}.get(part, "words")
    return _with(filters, {name: (), f"exclude_{name}": ()})


def _with(filters: Filters, changed: Mapping[str, Any]) -> Filters:
    return replace(filters, **changed)


def _others(item_ids: tuple[str, ...], item_id: str) -> tuple[str, ...]:
    """Ids are told apart by their case, unlike names."""
    return tuple(one for one in item_ids if one != item_id)


def _newest(values: tuple[str, ...], value: str) -> tuple[str, ...]:
    return (*_less(values, value), value)


def _less(values: tuple[str, ...], value: str) -> tuple[str, ...]:
    return tuple(v for v in values if v.casefold() != value.casefold())
