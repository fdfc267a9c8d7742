"""What a generation of text and items tells while it runs, and the whole reply at its end.

Does not know models or tries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class TextPiece:
    """A piece of text in whole characters; never a part of an item.

    Attributes:
        prompt: Number of the prompt in its batch.
        text: At least one character.
    """

    prompt: int
    text: str


@dataclass(frozen=True)
class NamedItem:
    """An item that a reply names.

    Attributes:
        prompt: Number of the prompt in its batch.
        row: Catalog row.
        codes: The Semantic ID's codes; -1 behind the end of a shorter one.
        log_prob: Of the whole ID after the text before it, in nats.
    """

    prompt: int
    row: int
    codes: tuple[int, ...]
    log_prob: float


@dataclass(frozen=True)
class Finished:
    """The end of one reply.

    Attributes:
        prompt: Number of the prompt in its batch.
        reason: `stop` = the model said so, `length` = there is no room for more tokens.
        token_ids: The whole reply, without the token that stopped it.
    """

    prompt: int
    reason: FinishReason
    token_ids: tuple[int, ...]


MixedEvent = TextPiece | NamedItem | Finished


@dataclass(frozen=True)
class MixedReply:
    """One whole reply.

    Attributes:
        parts: Text and items in their order; no two texts stand side by side.
        token_ids: Without the token that stopped it.
        reason: Why it ended.
    """

    parts: tuple[TextPiece | NamedItem, ...]
    token_ids: tuple[int, ...]
    reason: FinishReason

    @property
    def text(self) -> str:
        """The text, items left out."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPiece))

    @property
    def items(self) -> tuple[NamedItem, ...]:
        """The items in the order in which they are named."""
        return tuple(part for part in self.parts if isinstance(part, NamedItem))


def replies(events: Iterable[MixedEvent], prompts: int) -> list[MixedReply]:
    """All events of a generation, put together to a reply a prompt."""
    parts: list[list[TextPiece | NamedItem]] = [[] for _ in range(prompts)]
    ends: list[Finished | None] = [None] * prompts
    for event in events:
        own = parts[event.prompt]
        if isinstance(event, Finished):
            ends[event.prompt] = event
        elif isinstance(event, TextPiece) and own and isinstance(own[-1], TextPiece):
            own[-1] = TextPiece(event.prompt, own[-1].text + event.text)
        else:
            own.append(event)
    return [
        MixedReply(tuple(own), end.token_ids, end.reason)
        for own, end in zip(parts, ends, strict=True)
        if end is not None
    ]
