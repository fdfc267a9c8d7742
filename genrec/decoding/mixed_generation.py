"""Replies of text and items: free text, held to the trie from an item's first code until the item is whole.

Does not know prompts' wording, item ids or conversations: token ids in, pieces of text and catalog rows out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from genrec.catalog import CatalogTrie
from genrec.decoding.item_speller import ItemSpeller
from genrec.decoding.mixed_events import MixedEvent, MixedReply, replies
from genrec.decoding.normalization import NORMALIZATIONS, Normalization
from genrec.decoding.open_items import OpenItems, leaf_bounds
from genrec.decoding.prompt_cache import PromptCache
from genrec.decoding.reply_writer import ReplyWriter
from genrec.decoding.step_model import load_backend
from genrec.decoding.text_pieces import TextPieces
from genrec.decoding.text_sampling import TextSampling
from genrec.decoding.trie_tables import TrieTables
from genrec.errors import DecodingError, is_count
from genrec.vocabulary import SemanticIdVocabulary


class MixedGenerator:
    """Generates replies in which items of the catalog stand among text.

    Args:
        model: A language model that speaks Semantic IDs.
        text_tokenizer: Its text tokenizer.
        trie: The catalog's trie over codes.
        vocabulary: Joins codes and token ids.
        normalize: The normaliser of the items' log-probabilities.
        item_beams: Where the text comes to an item, the best one by a beam of this width is named; with 1 its
            codes are chosen one by one, as the text's tokens are.
        sampling: How tokens are chosen.
        stop_ids: Tokens that end a reply; None = the text tokenizer's end of text.
        prompt_cache: Keeps beginnings of prompts, as an instruction or a history so far, between calls.

    Raises:
        DecodingError: A trie that does not fit the vocabulary, no beam, an unknown normaliser, or no token
            that ends a reply.
    """

    def __init__(
        self,
        model: Any,
        text_tokenizer: Any,
        trie: CatalogTrie,
        vocabulary: SemanticIdVocabulary,
        *,
        normalize: Normalization = "full",
        item_beams: int = 1,
        sampling: TextSampling | None = None,
        stop_ids: Sequence[int] | None = None,
        prompt_cache: PromptCache | None = None,
    ) -> None:
        if normalize not in NORMALIZATIONS or not is_count(item_beams):
            raise DecodingError(
                "unknown normaliser, or no beam for items",
                received=f"normalize={normalize!r}, item_beams={item_beams}",
                remedy=f"use one of {', '.join(NORMALIZATIONS)}, and item_beams >= 1",
            )
        if stop_ids is None:
            stop_ids = [] if text_tokenizer.eos_token_id is None else [text_tokenizer.eos_token_id]
        if not stop_ids:
            raise DecodingError(
                "no token ends a reply",
                received="no stop_ids, and a text tokenizer without an end of text",
                remedy="pass stop_ids",
            )
        self.model = model
        self.text_tokenizer = text_tokenizer
        self.backend = load_backend(model, prompt_cache)
        self.tables = TrieTables(trie, vocabulary, model.device)
        self.bounds = leaf_bounds(self.tables)
        self.normalize: Normalization = normalize
        self.item_beams = item_beams
        self.sampling = sampling or TextSampling()
        self.stop_ids = frozenset(int(token) for token in stop_ids)
        self.first_codes = {int(token): code for code, token in enumerate(self.tables.level_ids[0].tolist())}
        rows = model.config.get_text_config().vocab_size
        text = torch.zeros(rows, dtype=torch.bool)
        text[: len(text_tokenizer)] = True  # rows beyond are padding of the matrix
        text[torch.as_tensor(vocabulary.new_ids)] = False
        if text_tokenizer.pad_token_id is not None and text_tokenizer.pad_token_id not in self.stop_ids:
            text[text_tokenizer.pad_token_id] = False
        self.no_text = ~text.to(model.device)  # [vocabulary]

    def generate(self, input_ids: Tensor, attention_mask: Tensor, **options: Any) -> list[MixedReply]:
        """Whole replies, one a prompt; arguments as for `stream`."""
        return replies(self.stream(input_ids, attention_mask, **options), len(input_ids))

    def stream(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        *,
        max_new_tokens: int = 256,
        max_items: int | None = None,
        allowed: Tensor | Sequence[Tensor | None] | None = None,
        exclude: Sequence[Sequence[int]] | None = None,
        repeat_items: bool = False,
    ) -> Iterator[MixedEvent]:
        """Replies while they are made, those of all prompts side by side.

        Args:
            input_ids: int64 `[batch, prompt]`, padded on either side.
            attention_mask: `[batch, prompt]`, 1 for real tokens.
            max_new_tokens: Tokens of a reply; an item that would not fit in whole is not begun.
            max_items: Items of a reply, 0 = none, None = any number.
            allowed: bool `[catalog rows]`, the items that may be named; a list holds one for each prompt.
            exclude: For each prompt catalog rows that may not be named.
            repeat_items: Whether one reply may name an item twice.

        Raises:
            DecodingError: Shapes that do not agree, an empty prompt, no token or a negative number of items
                wanted, or a mask shorter than the catalog.
        """
        batch = len(input_ids)
        if (
            input_ids.dim() != 2
            or input_ids.shape != attention_mask.shape
            or not bool(attention_mask.bool().any(dim=-1).all())
            or not is_count(max_new_tokens)
        ):
            raise DecodingError(
                "a generation needs prompts of at least a token, a mask of their shape and room for a token",
                received=f"input_ids {tuple(input_ids.shape)}, attention_mask {tuple(attention_mask.shape)}, "
                f"max_new_tokens={max_new_tokens}",
                remedy="pad the prompts to one length and pass the mask of the padding",
            )
        if max_items is not None and not is_count(max_items, 0):
            raise DecodingError(
                "a limit of a reply's items is a whole number",
                received=f"max_items={max_items!r}",
                remedy="pass 0 or more, or None for any number",
            )
        masks: list[Any] = list(allowed) if isinstance(allowed, list | tuple) else [allowed] * batch
        excluded = list(exclude) if exclude is not None else [()] * batch
        if len(masks) != batch or len(excluded) != batch:
            raise DecodingError(
                "one mask and one list of excluded items are needed for each prompt",
                received=f"{len(masks)} masks, {len(excluded)} lists, {batch} prompts",
                remedy="pass lists as long as the batch",
            )
        writers = [
            ReplyWriter(
                prompt,
                self.tables,
                OpenItems(self.tables, self.bounds, masks[prompt], excluded[prompt]),
                TextPieces(self.text_tokenizer),
                seed=self.sampling.seed,
                max_new_tokens=max_new_tokens,
                max_items=max_items,
                repeat_items=repeat_items,
            )
            for prompt in range(batch)
        ]
        return self._stream(input_ids, attention_mask, writers, max_new_tokens)

    @torch.no_grad()
    def _stream(
        self, input_ids: Tensor, attention_mask: Tensor, active: list[ReplyWriter], capacity: int
    ) -> Iterator[MixedEvent]:
        device = self.tables.device
        was_training = self.model.training
        self.model.eval()
        try:
            head = self.backend.head()
            speller = ItemSpeller(self.tables, head, self.normalize, self.item_beams, self.sampling)
            ids, real = input_ids.to(device), attention_mask.to(device).bool()
            steps, states = self.backend.start(ids, real, capacity)
            first = 0  # number of the first row of the last step
            while active:
                yield from self._advance(speller, states, first, active)
                going = [place for place, writer in enumerate(active) if not writer.done]
                if 0 < len(going) < len(active):
                    steps.keep(torch.tensor(going, device=device))
                active = [active[place] for place in going]
                if active:
                    width = max(len(writer.rows) for writer in active)
                    rows = [writer.rows + [(0, 0)] * (width - len(writer.rows)) for writer in active]
                    tokens, parent = torch.tensor(rows, device=device).unbind(-1)  # [active, width]
                    first += states.shape[1]
                    states = steps.step(tokens, parent)
        finally:
            self.model.train(was_training)

    def _advance(
        self, speller: ItemSpeller, states: Tensor, first: int, active: list[ReplyWriter]
    ) -> Iterator[MixedEvent]:
        """One token more of every reply, chosen from the states `[active, rows, width]` of the last step."""
        uniforms = torch.cat([writer.uniform() for writer in active])
        in_text = [place for place, writer in enumerate(active) if not writer.spelled]
        chosen = dict(
            zip(in_text, self._text_tokens(speller, states, uniforms, active, in_text), strict=True)
        )
        for place, writer in enumerate(active):
            spelled, code = writer.spelled, None
            if place in chosen:
                token = chosen[place]
                code = self.first_codes.get(token)
                if code is None:
                    yield from writer.take_text(token, first, self.stop_ids)
                    continue
                spelled = speller.root
                if self.item_beams > 1:
                    code = None  # the best item need not begin with the likeliest code
            longer = speller.onward(
                spelled,
                states[place, : len(spelled)],
                first,
                writer.open_items,
                uniforms[place : place + 1],
                code,
            )
            yield from writer.take_codes(longer, speller)

    def _text_tokens(
        self,
        speller: ItemSpeller,
        states: Tensor,
        uniforms: Tensor,
        active: list[ReplyWriter],
        in_text: list[int],
    ) -> list[int]:
        """The next token of each reply that is in text: a text token or an item's first code."""
        if not in_text:
            return []
        logits = speller.head.full(states[in_text, 0]).float()  # [n, vocabulary]
        may = torch.stack([active[place].first_codes() for place in in_text])  # [n, codes of position 0]
        ids = self.tables.level_ids[0]
        codes = logits[:, ids].masked_fill(~may, float("-inf"))
        logits = logits.masked_fill(self.no_text, float("-inf")).index_copy(1, ids, codes)
        tokens: list[int] = self.sampling.choose(logits, uniforms[in_text].to(logits.device)).tolist()
        return tokens
