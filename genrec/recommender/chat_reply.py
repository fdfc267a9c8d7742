"""What a conversation answers with: text, the items in it as objects with their places, reasons, events.

Does not know how a reply is made.
"""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from genrec.recommender.filters import Filters
from genrec.recommender.intents import Intent
from genrec.recommender.recommendations import Recommendation

LONGEST_NAME = 160  # characters of a title or a quote that are shown


@dataclass(frozen=True)
class Reason:
    """Why an item is named: a value of its row in the item table.

    Attributes:
        column: The column; "" for a reason that is not of the table (what the model was asked after).
        value: What is quoted of it, as the table has it but for `displayed`.
        text: The reason in words.
    """

    column: str
    value: str
    text: str


@dataclass(frozen=True)
class NamedItem:
    """An item that a reply names.

    Attributes:
        recommendation: The item.
        start: Where its name begins in the reply's text.
        end: Where it ends: `text[start:end]` is the name.
        reasons: Why it is there, each a quote of its metadata.
    """

    recommendation: Recommendation
    start: int
    end: int
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class ChatReply:
    """One reply.

    Attributes:
        text: What is said. Titles and quotes in it are other people's texts: escape them where they are shown
            as HTML or marks.
        items: The items it names, in its order; each is an item of the catalog that fulfils `filters`, or was
            asked about.
        filters: What is asked for after this turn.
        intents: What was understood of the message.
        recommended: How many of the items, the first ones, are recommendations; others were asked about.
        composed: Whether the text was put together from templates, not written by the model.
    """

    text: str
    items: tuple[NamedItem, ...] = ()
    filters: Filters = field(default_factory=Filters)
    intents: tuple[Intent, ...] = ()
    recommended: int = 0
    composed: bool = True

    @property
    def recommendations(self) -> list[Recommendation]:
        """The recommended items, best first."""
        return [named.recommendation for named in self.items[: self.recommended]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "filters": self.filters.to_dict()}


@dataclass(frozen=True)
class FiltersEvent:
    """The filters a reply will hold to; comes first.

    Attributes:
        filters: What is asked for.
        intents: What was understood.
    """

    filters: Filters
    intents: tuple[Intent, ...]
    type: Literal["filters"] = "filters"


@dataclass(frozen=True)
class TextEvent:
    """A piece of the reply's text; the pieces, names of items among them, make up `ChatReply.text`.

    Attributes:
        text: The piece.
    """

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True)
class ItemEvent:
    """An item whose name was the piece before.

    Attributes:
        item: The item and its place.
    """

    item: NamedItem
    type: Literal["item"] = "item"


@dataclass(frozen=True)
class ReplyEvent:
    """The whole reply; comes last.

    Attributes:
        reply: The reply.
    """

    reply: ChatReply
    type: Literal["reply"] = "reply"


ChatEvent: TypeAlias = FiltersEvent | TextEvent | ItemEvent | ReplyEvent


def displayed(text: str, longest: int = LONGEST_NAME) -> str:
    """An untrusted text on one line, as it may be shown: no control or format characters, cut where too long.

    Marks of writing direction are format characters, so a title cannot turn round what stands after it.
    """
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text[: 4 * longest])
    line = " ".join(plain.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
