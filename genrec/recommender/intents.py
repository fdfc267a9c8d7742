"""What a user's message asks for, as plain values.

Does not know how a message is read, nor what is done about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IntentKind = Literal[
    "max_price",
    "min_price",
    "cheaper",
    "dearer",
    "brand",
    "not_brand",
    "category",
    "not_category",
    "word",
    "not_word",
    "unknown_word",
    "like",
    "dislike",
    "more_like",
    "choose",
    "own",
    "details",
    "more",
    "query",
    "show",
    "forget",
    "undo",
    "reset",
    "greeting",
    "thanks",
    "goodbye",
    "no_reference",
]


@dataclass(frozen=True)
class Intent:
    """One thing a message asks for.

    Attributes:
        kind: What.
        value: The brand, category, word, item id or part of the filters it is about; for `cheaper` and
            `dearer` the item that is compared with, "" = what was shown.
        amount: The price of a limit.
        added: Whether it comes beside earlier ones of its kind, not in their place.
    """

    kind: IntentKind
    value: str = ""
    amount: float = 0.0
    added: bool = False
