"""`Conversation`: a message and a state in, a reply and the next state out.

Does not know sessions: everything it knows of a user is in the state it is handed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any

from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.errors import ConfigError
from genrec.recommender.chat_reply import ChatReply, FiltersEvent, ItemEvent, TextEvent, displayed
from genrec.recommender.conversation_state import ConversationState, StateChanges
from genrec.recommender.conversing import Converser
from genrec.recommender.dialogue_prompts import DialoguePrompts
from genrec.recommender.filters import Filters
from genrec.recommender.generative_ranker import GenerativeRanker
from genrec.recommender.intent_parser import IntentParser
from genrec.recommender.intent_phrases import IntentPhrases
from genrec.recommender.intents import Intent
from genrec.recommender.phrase_index import TOKEN, PhraseIndex
from genrec.recommender.recommendations import Recommendation
from genrec.recommender.reply_writer import ReplyWriter, demands
from genrec.recommender.shortlisting import Request, Shortlister

COURTESIES = ("goodbye", "thanks", "greeting")
QUIET = frozenset(("details", "no_reference", "undo", *COURTESIES))  # what no list of items answers


@dataclass(frozen=True)
class Outcome:
    """What a turn came to.

    Attributes:
        state: The state after it.
        reply: The whole reply.
        undo: Whether it took an earlier turn back.
    """

    state: ConversationState
    reply: ChatReply
    undo: bool


class Conversation:
    """Answers messages, with composed replies or in the model's words.

    Args:
        shortlister: Who finds items.
        catalog: Items and their Semantic IDs.
        items: Their metadata.
        recipe: How the model was trained: one that learned dialogues (the task `dialogue`) can write replies
            itself, and does so by default if it stands on a pretrained base.
    """

    def __init__(
        self,
        shortlister: Shortlister,
        catalog: Catalog,
        items: ItemTable,
        *,
        recipe: Mapping[str, Any] | None = None,
    ) -> None:
        self.shortlister = shortlister
        self.catalog = catalog
        self.items = items
        self.changes = StateChanges(items)
        trained = recipe or {}
        learned = "dialogue" in (trained.get("tasks") or ())
        self.converser = Converser(shortlister, self.dialogue_prompts) if learned else None
        self.converses = learned and bool((trained.get("model") or {}).get("base"))
        self._lock = Lock()

    @property
    def dialogue_prompts(self) -> DialoguePrompts:
        """How a model trained on dialogues is asked with one.

        Raises:
            ConfigError: An item-level generator, which takes no words.
        """
        ranker = self.shortlister.ranker
        if not isinstance(ranker, GenerativeRanker):
            raise ConfigError(
                "this model takes no words", received=type(ranker).__name__, remedy="use a language model"
            )
        return DialoguePrompts(ranker.builder, self.catalog, self.items, lambda: self.names)

    @cached_property
    def names(self) -> PhraseIndex:
        """Names of the catalog."""
        return PhraseIndex(self.items, [item for item in self.catalog.item_ids if item in self.catalog])

    @cached_property
    def parser(self) -> IntentParser:
        """Reads messages."""
        return IntentParser(self.items, self.names, self.occurs)

    def occurs(self, phrase: str) -> bool:
        """Whether some item of the catalog mentions a phrase."""
        words = TOKEN.findall(phrase.casefold())
        if not words or not all(word in self.names.words for word in words):
            return False
        return bool(self.shortlister.mask(Filters(words=(phrase,))).any())

    def read(self, message: str, shown: Sequence[str], phrases: IntentPhrases | None = None) -> list[Intent]:
        """What a message asks for, by genrec's own phrases or by others."""
        with self._lock:  # indices are made by the first message, once
            parser = self.parser
        if phrases is not None:
            parser = IntentParser(self.items, self.names, self.occurs, phrases)
        return parser.parse(message, shown)

    def replayed(
        self,
        messages: Sequence[Mapping[str, Any]],
        history: Sequence[str],
        filters: Filters,
        phrases: IntentPhrases | None = None,
    ) -> tuple[ConversationState, list[ConversationState]]:
        """The state after earlier messages, and those before it that `undo` goes back to, without searching.

        What an assistant's message shows are the items under its key "items", else those whose titles its
        text names.
        """
        state = ConversationState(history=tuple(history), filters=filters)
        past: list[ConversationState] = []
        before = (
            state  # where the user's turn began: it counts if the message or the reply's items changed it
        )
        begun = False
        for message in messages:
            if message["role"] == "user":
                begun = True
                past += [before] * (state != before)
                intents = self.read(message["content"], state.shown, phrases)
                if any(intent.kind == "undo" for intent in intents):
                    before = state = past.pop() if past else state
                    continue
                before, state = state, self.changes.apply(state, intents)
            elif message["role"] == "assistant":
                named = message.get("items")
                if named is None:
                    found = self.names.mentions(message["content"])
                    named = list(dict.fromkeys(m.value for m in found if m.kind == "item"))
                state = state.with_shown([item for item in named if item in self.catalog])
                before = before if begun else state
        past += [before] * (state != before)
        return state, past

    def answer(
        self,
        state: ConversationState,
        messages: Sequence[Mapping[str, Any]],
        *,
        k: int,
        turn: int = 0,
        past: ConversationState | None = None,
        composed: bool = True,
        phrases: IntentPhrases | None = None,
    ) -> Generator[FiltersEvent | TextEvent | ItemEvent, None, Outcome]:
        """One turn in pieces as they are made: filters, then text and items; the outcome comes with the end.

        By the model's own words a message that takes an earlier one back, and one after which nothing fits,
        are answered by templates; where the model names no item though the message asks for some, a list
        follows its words.

        Args:
            state: Where the conversation stands.
            messages: The conversation, the last message the user's.
            k: Items named at the most.
            turn: Number of the turn; chooses among wordings.
            past: The state that `undo` goes back to.
            composed: Whether the reply is put together from templates; else the model writes it.
            phrases: How people say what they want; None = genrec's own.

        Raises:
            ConfigError: `composed=False` with a model that was not trained on dialogues.
        """
        intents = self.read(messages[-1]["content"], state.shown, phrases)
        undone = any(intent.kind == "undo" for intent in intents)
        after = self.changes.apply(state, intents)
        if undone:
            after = past if past is not None else state
        yield FiltersEvent(after.filters, tuple(intents))
        writer = ReplyWriter(self.items, turn)
        if undone:
            writer.say("notes", "undone" if past is not None else "nothing_to_undo")
            yield from writer.unsent()
            return Outcome(after, self._reply(writer, after, intents, 0), past is not None)
        if not composed:
            converser = self._converser()
            fits = self.shortlister.mask(after.filters)
            fits[self.shortlister.rows(after.left_out)] = False
            if fits.any():
                self._notes(state, intents, writer)
                return (yield from self._in_words(converser, messages, after, intents, writer, k))
        return (yield from self._composed(state, after, intents, writer, k))

    def _converser(self) -> Converser:
        if self.converser is None:
            raise ConfigError(
                "this model was not trained on dialogues, so it has no words of its own",
                received="composed=False",
                remedy="leave composed out, or train with the task dialogue",
            )
        return self.converser

    def _composed(
        self,
        state: ConversationState,
        after: ConversationState,
        intents: Sequence[Intent],
        writer: ReplyWriter,
        k: int,
    ) -> Generator[TextEvent | ItemEvent, None, Outcome]:
        if not intents:
            writer.say("notes", "nothing_new")
        if {intent.kind for intent in intents} <= QUIET:
            self._without_search(intents, writer)
            yield from writer.unsent()
            return Outcome(state, self._reply(writer, state, intents, 0), False)
        self._notes(state, intents, writer)
        yield from writer.unsent()
        found = self._search(after, k, writer)
        self._head(after, intents, found, writer)
        yield from self._list(found, after, writer)
        shown = len(writer.items_named)
        for intent in intents:
            if intent.kind == "details":
                writer.details(self._known(intent.value))
        yield from writer.unsent()
        reply = self._reply(writer, after, intents, shown)
        return Outcome(after.with_shown([r.item_id for r in found]), reply, False)

    def _in_words(
        self,
        converser: Converser,
        messages: Sequence[Mapping[str, Any]],
        after: ConversationState,
        intents: Sequence[Intent],
        writer: ReplyWriter,
        k: int,
    ) -> Generator[TextEvent | ItemEvent, None, Outcome]:
        if writer.text:
            writer.text += "\n"
        yield from writer.unsent()
        yield from converser.stream(messages, after, writer, k=k)
        if not writer.items_named and {intent.kind for intent in intents} - QUIET:
            found = self._search(after, k, ReplyWriter(self.items))
            yield from self._list(found, after, writer)
        shown = [named.recommendation.item_id for named in writer.items_named]
        reply = replace(self._reply(writer, after, intents, len(shown)), composed=False)
        return Outcome(after.with_shown(shown), reply, False)

    def _list(
        self, found: Sequence[Recommendation], state: ConversationState, writer: ReplyWriter
    ) -> Iterator[TextEvent | ItemEvent]:
        for number, recommendation in enumerate(found, start=1):
            writer.list_item(number, recommendation, state)
            yield from writer.unsent()
        yield from writer.unsent()

    def _without_search(self, intents: Sequence[Intent], writer: ReplyWriter) -> None:
        for intent in intents:
            if intent.kind == "details":
                writer.details(self._known(intent.value))
            elif intent.kind == "no_reference":
                writer.say("notes", "no_reference", reference=displayed(intent.value))
        if not writer.text:
            kind = next((kind for kind in COURTESIES if any(i.kind == kind for i in intents)), "greeting")
            writer.say(kind)

    def _notes(self, state: ConversationState, intents: Sequence[Intent], writer: ReplyWriter) -> None:
        unknown: list[str] = []
        for intent in intents:
            if intent.kind == "unknown_word":
                unknown.append(f"“{displayed(intent.value)}”")
            elif intent.kind == "no_reference":
                writer.say("notes", "no_reference", reference=displayed(intent.value))
            elif intent.kind in ("cheaper", "dearer"):
                if self.changes.reference_price(state, intent.value) is None:
                    writer.say("notes", "no_prices")
            elif intent.kind == "reset":
                writer.say("notes", "reset")
        if unknown:
            writer.say("notes", "unknown_word", word=" or ".join(unknown[:6]))

    def request(self, state: ConversationState, k: int, *, exact: bool = False) -> Request:
        """The list that a state asks for; likes stand behind the history, the newest last."""
        return Request(
            history=(*state.history, *state.likes),
            query=state.query,
            like=state.focus,
            filters=state.filters,
            exclude=state.left_out,
            k=k,
            exact=exact,
        )

    def _search(self, state: ConversationState, k: int, writer: ReplyWriter) -> list[Recommendation]:
        request = self.request(state, k)
        found = self.shortlister.lists([request])[0]
        if not found and state.query and self.shortlister.mask(state.filters).any():
            words = ", ".join(f"“{displayed(word)}”" for word in state.query.split()[:8])
            plain = Request(request.history, "", request.like, request.filters, request.exclude, k)
            found = self.shortlister.lists([plain])[0]
            if found:
                writer.say("notes", "no_query", word=words)
        return found

    def _head(
        self,
        state: ConversationState,
        intents: Sequence[Intent],
        found: Sequence[Recommendation],
        writer: ReplyWriter,
    ) -> None:
        shown = demands(state.filters, self.items)
        if not found:
            self._nothing(state, shown, writer)
            return
        kinds = {intent.kind for intent in intents}
        if state.focus and "more_like" in kinds:
            title = displayed(self.items.title(state.focus[-1]), 60) or state.focus[-1]
            writer.say("intro", "focus", title=title)
        elif "more" in kinds:
            writer.say("intro", "more")
        elif shown:
            writer.say("intro", "fits", demands=shown)
        elif state.query:
            writer.say("intro", "query")
        else:
            writer.say("intro", "history" if state.history or state.likes else "empty")

    def _nothing(self, state: ConversationState, shown: str, writer: ReplyWriter) -> None:
        if not shown:
            writer.say("nothing", "empty")
            return
        index = self.shortlister.index
        if self.shortlister.mask(state.filters).any():
            writer.say("nothing", "left", demands=shown)
            return
        obstacles = index.obstacles(state.filters)
        if obstacles:
            part, count = obstacles[0]
            what = f"{count} item" + ("s" if count > 1 else "")
            writer.say("nothing", "because", demands=shown, part=demands(part, self.items), count=what)
        else:
            writer.say("nothing", "all", demands=shown)

    def _known(self, item: str) -> Recommendation:
        """An item that was asked about, as an object; no search ranked it."""
        return Recommendation(item, self.items.title(item), 0.0, False, self.catalog.tokens(item), "text")

    def _reply(
        self, writer: ReplyWriter, state: ConversationState, intents: Sequence[Intent], recommended: int
    ) -> ChatReply:
        return ChatReply(writer.text, tuple(writer.items_named), state.filters, tuple(intents), recommended)
