"""`ChatSession`: several turns that end in real items, with likes, dislikes and constraints as plain filters.

Does not know HTTP or terminals. Nothing of a session enters the recommender it talks to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeAlias

from genrec.config import atomic_write_text, to_mapping
from genrec.errors import ArtifactError, ConfigError, DataError
from genrec.recommender.chat_reply import ChatEvent, ChatReply, ReplyEvent
from genrec.recommender.conversation import Outcome
from genrec.recommender.conversation_state import ConversationState
from genrec.recommender.filters import Filters, as_filters
from genrec.recommender.intent_phrases import IntentPhrases
from genrec.recommender.recommendations import Unknown, known_items, wanted_items

if TYPE_CHECKING:
    from genrec.recommender.generative_recommender import GenerativeRecommender
    from genrec.recommender.item_level_recommender import ItemLevelRecommender

    Recommender: TypeAlias = GenerativeRecommender | ItemLevelRecommender

FORMAT_VERSION = 1
MOST_TURNS = 100  # that can be taken back, and messages of each side that are kept
ROLES = ("system", "user", "assistant")


class ChatSession:
    """A conversation with a recommender.

    Sessions share nothing but the recommender, which they do not change; one session may be used by several
    threads, whose turns follow each other. What is kept of a session is plain values: `save` and `load`, or
    `to_dict` and `from_dict`.

    Args:
        recommender: Who answers.
        history: Item ids the user comes with, oldest first.
        filters: What every item has to fulfil from the start.
        k: Items a reply names at the most.
        unknown: What to do about an id of the history that is not in the catalog.
        composed: Whether replies are put together from templates; False = the model writes them, which takes
            one trained on dialogues (the task `dialogue`); None = the model where it is such a one on a
            pretrained base, templates otherwise.
        phrases: How people say what they want, `IntentPhrases.read` of a file with the keys of genrec's own
            `intents.yaml`; None = these. They are not saved with the session.

    Raises:
        ConfigError: `composed=False` with a model that was not trained on dialogues, or filters that cannot
            be used.
        DataError: Unknown ids with `unknown="error"`, or a filter on a column that is not there.
        DecodingError: k below 1.
    """

    def __init__(
        self,
        recommender: Recommender,
        *,
        history: Sequence[str] = (),
        filters: Filters | Mapping[str, Any] | None = None,
        k: int = 5,
        unknown: Unknown = "error",
        composed: bool | None = None,
        phrases: IntentPhrases | None = None,
    ) -> None:
        if composed is False and recommender.conversation.converser is None:
            raise ConfigError(
                "this model was not trained on dialogues, so it has no words of its own",
                received="composed=False",
                remedy="leave composed out, or train with the task dialogue",
            )
        self.composed = composed
        self.converses = recommender.conversation.converses if composed is None else not composed
        self.recommender = recommender
        self.phrases = phrases
        self.k = wanted_items(k, len(recommender.catalog))
        known = tuple(known_items(recommender.catalog, history, unknown))
        self._state = ConversationState(history=known)
        self._past: list[ConversationState] = []
        self._messages: list[dict[str, Any]] = []
        self._lock = RLock()
        self.filters = as_filters(filters)

    @classmethod
    def after(
        cls,
        recommender: Recommender,
        messages: Sequence[Mapping[str, Any]],
        *,
        history: Sequence[str] = (),
        filters: Filters | Mapping[str, Any] | None = None,
        k: int = 5,
        unknown: Unknown = "error",
    ) -> ChatSession:
        """A session that stands before the last one of these messages, which is the user's.

        Raises:
            DataError: Messages in another form, or none of the user at the end; else as the constructor.
        """
        check_messages(messages)
        if not messages or messages[-1]["role"] != "user":
            raise DataError(
                "there is no message of the user to reply to",
                received=f"{len(messages)} messages",
                remedy='put {"role": "user", "content": ...} at the end',
            )
        session = cls(recommender, history=history, filters=filters, k=k, unknown=unknown)
        return session.replay(messages[:-1])

    @property
    def state(self) -> ConversationState:
        """Where the conversation stands; a value, which later turns do not change."""
        return self._state

    @property
    def filters(self) -> Filters:
        """What every item has to fulfil; may be set, to filters or a mapping such as `{"max_price": 20}`."""
        return self._state.filters

    @filters.setter
    def filters(self, filters: Filters | Mapping[str, Any] | None) -> None:
        checked = as_filters(filters)
        self.recommender.shortlister.mask(checked)  # an unknown column is told now, not in the next reply
        with self._lock:
            self._state = replace(self._state, filters=checked)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was said: `{"role": ..., "content": ...}`, with the ids of the items named under "items"."""
        return [dict(message) for message in self._messages]

    def say(self, message: str) -> ChatReply:
        """One turn.

        Args:
            message: What the user says, untrusted; 4,000 characters of it are read.

        Raises:
            DataError: The message is no text, or empty.
        """
        with self._lock:
            for event in self.stream(message):
                if isinstance(event, ReplyEvent):
                    return event.reply
        raise AssertionError("a stream ends in a reply")

    def stream(self, message: str) -> Iterator[ChatEvent]:
        """One turn, in pieces as they are made: filters before the search, then text and items one by one.

        The whole reply comes last. The turn counts once that is out; of a stream that is not read to its end
        nothing is kept.

        Raises:
            DataError: The message is no text, or empty; or the session went on while the stream was read.
        """
        with self._lock:
            state, messages, turn = self._state, self._messages, self._turn
            past = self._past[-1] if self._past else None
        asked = [*messages, {"role": "user", "content": _checked(message)}]
        outcome = yield from self.recommender.conversation.answer(
            state,
            asked,
            k=self.k,
            turn=turn,
            past=past,
            composed=not self.converses,
            phrases=self.phrases,
        )
        with self._lock:
            if self._state is not state or self._messages is not messages:
                raise DataError(
                    "the session went on while this reply was streamed, which was not kept",
                    received=message[:200],
                    remedy="read a stream to its end before the next turn, or use one session a thread",
                )
            self._keep(message, outcome)
        yield ReplyEvent(outcome.reply)

    def replay(self, messages: Sequence[Mapping[str, Any]]) -> ChatSession:
        """Takes in what was said elsewhere, without searching; returns itself.

        Raises:
            DataError: Messages in another form.
        """
        check_messages(messages)
        with self._lock:
            history, filters = self._state.history, self._state.filters
            self._state, past = self.recommender.conversation.replayed(
                messages, history, filters, self.phrases
            )
            self._past = past[-MOST_TURNS:]
            self._messages = [dict(message) for message in messages][-2 * MOST_TURNS :]
        return self

    def undo(self) -> bool:
        """Takes back the last turn that changed something; False where there is none."""
        with self._lock:
            if not self._past:
                return False
            self._state = self._past.pop()
            return True

    def reset(self) -> None:
        """Starts anew with the history alone; the messages go too."""
        with self._lock:
            self._state = ConversationState(history=self._state.history)
            self._past, self._messages = [], []

    @property
    def _turn(self) -> int:
        return sum(said["role"] == "user" for said in self._messages)

    def _keep(self, message: str, outcome: Outcome) -> None:
        state, reply = outcome.state, outcome.reply
        if outcome.undo:
            self._past = self._past[:-1]
        elif state != self._state:
            self._past = [*self._past, self._state][-MOST_TURNS:]
        self._state = state
        shown = [named.recommendation.item_id for named in reply.items[: reply.recommended]]
        said: list[dict[str, Any]] = [
            {"role": "user", "content": message},
            {"role": "assistant", "content": reply.text, "items": shown},
        ]
        self._messages = [*self._messages, *said][-2 * MOST_TURNS :]

    def to_dict(self) -> dict[str, Any]:
        """The session as plain values for JSON; the recommender is not among them."""
        with self._lock:
            return {
                "format_version": FORMAT_VERSION,
                "k": self.k,
                "composed": self.composed,
                "state": self._state.to_dict(),
                "past": [state.to_dict() for state in self._past],
                "messages": to_mapping(self._messages),
            }

    @classmethod
    def from_dict(
        cls,
        recommender: Recommender,
        values: Mapping[str, Any],
        *,
        phrases: IntentPhrases | None = None,
    ) -> ChatSession:
        """Goes on with a session of `to_dict`, with the same recommender or with one of a later catalog.

        Items that the catalog no longer has are left out of it; so is `composed=False` where the model has no
        words of its own.

        Raises:
            ArtifactError: Another format version, or no session.
            ConfigError: Values of the wrong kind.
        """
        if not isinstance(values, Mapping) or values.get("format_version") != FORMAT_VERSION:
            version = values.get("format_version") if isinstance(values, Mapping) else values
            raise ArtifactError(
                "this is no chat session that can be read",
                received=f"format_version {version!r}"[:200],
                remedy=f"pass what ChatSession.to_dict gave (format version {FORMAT_VERSION})",
            )
        composed, past = values.get("composed"), values.get("past", [])
        if composed not in (None, True, False) or not isinstance(past, list | tuple):
            raise ConfigError(
                "a chat session has values of the wrong kind",
                received=f"composed={composed!r}, past={past!r}"[:200],
                remedy="pass what ChatSession.to_dict gave",
            )
        if composed is False and recommender.conversation.converser is None:
            composed = None
        session = cls(recommender, k=values.get("k", 5), composed=composed, phrases=phrases)
        messages = values.get("messages", [])
        check_messages(messages)
        session._messages = [dict(message) for message in messages]
        session._past = [_known(recommender, state) for state in past]
        session._state = _known(recommender, values.get("state", {}))
        session.filters = session._state.filters
        return session

    def restore(self, path: str | Path) -> None:
        """Goes on with what `save` wrote, in place of this conversation; see `load`."""
        other = type(self).load(self.recommender, path)
        with self._lock:
            self._state, self._past, self._messages = other._state, other._past, other._messages
            self.k = other.k
            if other.composed is not None:
                self.composed, self.converses = other.composed, other.converses

    def save(self, path: str | Path) -> None:
        """Writes the session as JSON; the file is there whole or not at all."""
        atomic_write_text(path, json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(
        cls,
        recommender: Recommender,
        path: str | Path,
        *,
        phrases: IntentPhrases | None = None,
    ) -> ChatSession:
        """Reads what `save` wrote; see `from_dict`.

        Raises:
            ArtifactError: No such file, or no session in it.
            ConfigError: Values of the wrong kind.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ArtifactError(
                f"{path} cannot be read as a chat session",
                received=f"{type(error).__name__}: {error}",
                remedy="pass a file that ChatSession.save wrote",
            ) from error
        return cls.from_dict(recommender, values, phrases=phrases)


def _checked(message: object) -> str:
    if not isinstance(message, str) or not message.strip():
        raise DataError(
            "a message is a text with something in it",
            received=repr(message)[:200],
            remedy='say "lip balm under 10", say',
        )
    return message


def check_messages(messages: object) -> None:
    """Holds messages to their form: `{"role": "user" | "assistant" | "system", "content": text}`.

    Raises:
        DataError: They are not in it.
    """
    fit = isinstance(messages, Sequence) and not isinstance(messages, str)
    for number, message in enumerate(messages if fit else [None], start=1):  # type: ignore[arg-type,var-annotated]
        items = message.get("items", []) if isinstance(message, Mapping) else None
        good = (
            isinstance(message, Mapping)
            and message.get("role") in ROLES
            and isinstance(message.get("content"), str)
            and isinstance(items, list | tuple)
            and all(isinstance(item, str) for item in items)
        )
        if not good:
            raise DataError(
                f"message {number} is not in the form of a message",
                received=repr(message)[:200],
                remedy='write {"role": "user", "content": "something for dry skin"}',
            )


def _known(recommender: Recommender, values: Mapping[str, Any]) -> ConversationState:
    state = ConversationState.from_dict(values)
    catalog = recommender.catalog

    def kept(items: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(item for item in items if item in catalog)

    return replace(
        state,
        history=kept(state.history),
        likes=kept(state.likes),
        dislikes=kept(state.dislikes),
        focus=kept(state.focus),
        shown=kept(state.shown),
        seen=kept(state.seen),
        skipped=kept(state.skipped),
    )
