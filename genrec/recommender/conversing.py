"""`Converser`: replies written by a model that was trained on dialogues, items in place among its words.

Does not know sessions. What was asked for is kept as filters, as in composed replies, and closes the trie.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch

from genrec.decoding import MixedGenerator, TextPiece, TextSampling
from genrec.decoding import NamedItem as FoundItem
from genrec.recommender.chat_reply import ItemEvent, TextEvent
from genrec.recommender.conversation_state import ConversationState
from genrec.recommender.dialogue_prompts import DialoguePrompts
from genrec.recommender.generative_ranker import GenerativeRanker
from genrec.recommender.recommendations import Recommendation
from genrec.recommender.reply_writer import ReplyWriter, wording
from genrec.recommender.shortlisting import Request, Shortlister
from genrec.tasks import Codes, Segment, Trusted, Untrusted

FIELDS = ("title", "brand", "categories", "price", "description")
LONGEST = 300  # characters of an item's metadata that are put before the model


class Converser:
    """Writes replies with the model.

    Where the text tokenizer has a chat template, which pretrained models that follow instructions bring, the
    best k items for the conversation are looked up first: their metadata is put before the model as evidence
    for its reasons, and it may name these items alone. A model without one has learned dialogues only, and
    names any item that fits.

    Args:
        shortlister: The search, and the filters' masks.
        prompts: How the model is asked.
        sampling: How words are chosen.
        max_new_tokens: Tokens of a reply.
    """

    def __init__(
        self,
        shortlister: Shortlister,
        prompts: DialoguePrompts,
        *,
        sampling: TextSampling | None = None,
        max_new_tokens: int = 200,
    ) -> None:
        self.shortlister = shortlister
        self.prompts = prompts
        self.sampling = sampling or TextSampling()
        self.max_new_tokens = max_new_tokens

    @cached_property
    def generator(self) -> MixedGenerator:
        """Mixed decoding over the whole catalog."""
        search = cast(GenerativeRanker, self.shortlister.ranker).search
        builder = self.prompts.builder
        return MixedGenerator(
            search.model,
            builder.text_tokenizer,
            self.prompts.catalog.trie,
            builder.vocabulary,
            normalize=search.normalize,
            item_beams=search.num_beams,
            sampling=self.sampling,
            stop_ids=[int(builder.end_ids[-1])],
        )

    def stream(
        self,
        messages: Sequence[Mapping[str, Any]],
        state: ConversationState,
        writer: ReplyWriter,
        *,
        k: int,
    ) -> Iterator[TextEvent | ItemEvent]:
        """Writes a reply, piece by piece.

        Args:
            messages: The conversation, the last message the user's.
            state: What it has come to; something fits its filters.
            writer: What is said already; text and items are added to it.
            k: Items named at the most.
        """
        mask = self.shortlister.mask(state.filters)
        mask[self.shortlister.rows(state.left_out)] = False
        evidence: list[Segment] = []
        if isinstance(self.generator.text_tokenizer.chat_template, str):
            prompt = self.prompts.prompt(messages, reserve=self.max_new_tokens)
            request = Request(filters=state.filters, exclude=state.left_out, k=k, prompt=prompt)
            found = self.shortlister.lists([request])[0]
            evidence = self._evidence(found)
            mask = np.zeros_like(mask)
            mask[self.prompts.catalog.rows([r.item_id for r in found])] = True
        ids = torch.from_numpy(
            self.prompts.prompt(messages, evidence=evidence, reserve=self.max_new_tokens)[None]
        )
        events = self.generator.stream(
            ids,
            torch.ones_like(ids),
            max_new_tokens=self.max_new_tokens,
            max_items=k,
            allowed=[torch.from_numpy(mask)],
        )
        for event in events:
            if isinstance(event, TextPiece):
                writer.text += _printable(event.text)
            elif isinstance(event, FoundItem):
                self._name(event, state, writer)
            yield from writer.unsent()

    def _name(self, event: FoundItem, state: ConversationState, writer: ReplyWriter) -> None:
        catalog, items = self.prompts.catalog, self.prompts.items
        item = catalog.item_ids[event.row]
        named = Recommendation(item, items.title(item), event.log_prob, False, catalog.tokens(item))
        writer.name(named, writer.reasons(named, state))

    def _evidence(self, found: Sequence[Recommendation]) -> list[Segment]:
        """The items' Semantic IDs and metadata, before the user's first message."""
        catalog, items = self.prompts.catalog, self.prompts.items
        segments: list[Segment] = [Trusted(wording(("evidence", "before"), 0) + "\n")]
        for recommendation in found:
            item = recommendation.item_id
            text = items.texts(FIELDS, [item])[0][:LONGEST]
            segments += [Codes(catalog.codes[catalog.rows([item])], whole=True), Untrusted(f": {text}")]
            segments.append(Trusted("\n"))
        return [*segments, Trusted(wording(("evidence", "behind"), 0) + "\n")]


def _printable(text: str) -> str:
    """A piece without control and format characters, but for line ends."""
    return "".join(c for c in text if c == "\n" or unicodedata.category(c)[0] != "C")
