"""Beam search constrained by the catalog's trie: only real items come out, each at most once.

Does not know prompts' wording, item ids or metrics, nor how a model keeps its beams' states: it asks a
`SearchBackend`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from genrec.catalog import CatalogTrie
from genrec.decoding.item_constraints import Allowed, Bonus, GroupLimit, ItemConstraints
from genrec.decoding.item_scores import score_rows
from genrec.decoding.normalization import NORMALIZATIONS, Normalization
from genrec.decoding.prompt_cache import PromptCache
from genrec.decoding.search_result import BeamSearchResult
from genrec.decoding.step_model import load_backend
from genrec.decoding.trie_search import TrieSearch
from genrec.decoding.trie_tables import TrieTables
from genrec.decoding.trie_walk import TokenWalk
from genrec.errors import DecodingError, is_count
from genrec.vocabulary import SemanticIdVocabulary

Result = TypeVar("Result")


class ConstrainedBeamSearch:
    """Trie-constrained search with a decoder-only or an encoder-decoder language model.

    Many threads may search with one object at once, if the model is in evaluation mode.

    Args:
        model: A causal language model or an encoder-decoder; it is used in evaluation mode and left in the
            mode it came in.
        trie: The catalog's trie over codes.
        vocabulary: Joins codes and token ids.
        normalize: Which tokens share a step's softmax; a model trained with one must be decoded with the
            same. Filters do not change it: `allowed` runs over the children in the whole catalog's trie.
        num_beams: Prefixes kept a step; never fewer than the `k` asked for.
        before: Token ids that stand between prompt and ID.
        after: Token ids that stand behind an ID; with `full` they are scored, as transformers' generate
            scores tokens it is forced to write.
        eos: Whether the end-of-sequence token is scored behind an ID and `after`.
        prompt_cache: Keeps beginnings of prompts, as an instruction or a history so far, between calls.

    Raises:
        DecodingError: Unknown normaliser, no beam, no end-of-sequence token to score, or a trie that does not
            fit the vocabulary.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        trie: CatalogTrie,
        vocabulary: SemanticIdVocabulary,
        *,
        normalize: Normalization = "full",
        num_beams: int = 20,
        before: Sequence[int] = (),
        after: Sequence[int] = (),
        eos: Literal["none", "score"] = "none",
        prompt_cache: PromptCache | None = None,
    ) -> None:
        if normalize not in NORMALIZATIONS:
            raise DecodingError(
                "unknown normaliser",
                received=repr(normalize),
                remedy=f"use one of {', '.join(NORMALIZATIONS)}",
            )
        if not is_count(num_beams):
            raise DecodingError(
                "a search needs a beam", received=num_beams, remedy="set num_beams to 1 or more"
            )
        self.model = model
        self.trie = trie
        self.backend = load_backend(model, prompt_cache)
        self.normalize: Normalization = normalize
        self.num_beams = num_beams
        self.tables = TrieTables(trie, vocabulary, model.device)
        self.before = _checked_tokens(before, model)
        self.after = _checked_tokens((*after, *_end_token(model, eos)), model)

    @torch.no_grad()
    def search(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        k: int,
        *,
        allowed: Allowed = None,
        exclude: Sequence[Sequence[int] | np.ndarray] | None = None,
        bonus: Bonus = None,
        limit: GroupLimit | None = None,
        exact: bool = False,
        budget: int = 1000,
    ) -> BeamSearchResult:
        """The k best items after each prompt.

        Args:
            input_ids: int64 `[batch, prompt]`, padded on either side.
            attention_mask: `[batch, prompt]`, 1 for real tokens.
            k: Items to return; where fewer are allowed the rest is filled with -1.
            allowed: Which items may be returned: a bool for each catalog row (`[rows]` for all prompts, or
                `[batch, rows]`), a filter made of one by `CatalogTrie.restrict`, or a list with one of these
                or None for each prompt. It changes no item's score.
            exclude: Catalog rows that may not be returned, a list for each prompt; rows that are in no ID
                count for nothing.
            bonus: A number for each catalog row, added to the item's log-probability to rank it: `[rows]`,
                `[batch, rows]`, an `ItemBonus` made by `CatalogTrie.bonus`, or a list of these; minus
                infinity takes an item out.
            limit: At most so many items of each value of an attribute, taken greedily from the ranking's top.
                The search goes on until k are found or proven absent, whatever `budget` says, through nodes
                alone that lead to items of values of which there may be more: those that fill the list up
                need not be the best of their values, and `certified` tells which items are in their true
                place. With `exact` the budget holds for both.
            exact: Go on after the beams until the result is proven to be the best of the whole catalog.
            budget: Most trie nodes a prompt may expand for the proof. When it is spent, `certified` tells
                which items are proven all the same, and `gap` how far the last one is from it.

        Raises:
            DecodingError: Shapes that do not agree, an empty prompt, k below 1, a negative budget,
                constraints that do not fit the batch, or a score of the model's that is no number.
            SemanticIdError: A mask or a bonus that does not fit the catalog.
        """
        self._check(input_ids, attention_mask, k)
        if not is_count(budget, 0):
            raise DecodingError("a budget counts nodes", received=budget, remedy="set it to 0 or more")
        constraints = ItemConstraints(
            self.trie,
            self.tables.levels,
            len(input_ids),
            allowed=allowed,
            exclude=exclude,
            bonus=bonus,
            limit=limit,
        )

        def run() -> BeamSearchResult:
            walk = self._walk(input_ids, attention_mask)
            width = self.num_beams
            return TrieSearch(
                walk, constraints, len(input_ids), k, width=width, exact=exact, budget=budget
            ).run()

        return in_evaluation_mode(self.model, run)

    @torch.no_grad()
    def score(self, input_ids: Tensor, attention_mask: Tensor, rows: Tensor | None = None) -> Tensor:
        """Log-probabilities of given items after each prompt, each prefix that items share computed once.

        Args:
            input_ids: int64 `[batch, prompt]`, padded on either side.
            attention_mask: `[batch, prompt]`, 1 for real tokens.
            rows: int64 `[batch, m]`, catalog rows, -1 for none; None = the whole catalog.

        Returns:
            float32 `[batch, m]` in nats, minus infinity where `rows` is -1 and where the model gives an item
            no probability at all; for the whole catalog `[batch, rows of the catalog]`, minus infinity for
            rows without an ID.

        Raises:
            DecodingError: Shapes that do not agree, an empty prompt, a row without an ID, or a score of the
                model's that is no number.
        """
        self._check(input_ids, attention_mask, 1)
        return in_evaluation_mode(
            self.model,
            lambda: score_rows(self._walk(input_ids, attention_mask), self.trie, len(input_ids), rows),
        )

    def _walk(self, input_ids: Tensor, attention_mask: Tensor) -> TokenWalk:
        device = self.tables.device
        real = attention_mask.to(device).bool()
        return TokenWalk(
            self.backend,
            self.tables,
            self.normalize,
            input_ids.to(device),
            real,
            before=self.before,
            after=self.after,
        )

    def _check(self, input_ids: Tensor, attention_mask: Tensor, k: int) -> None:
        if input_ids.dim() != 2 or input_ids.shape != attention_mask.shape or 0 in input_ids.shape:
            raise DecodingError(
                "prompts and their mask must be two equal, non-empty matrices",
                received=f"input_ids {tuple(input_ids.shape)}, attention_mask {tuple(attention_mask.shape)}",
                remedy="pad the prompts to one length and pass the mask of the padding",
            )
        if not bool(attention_mask.bool().any(dim=1).all()):
            raise DecodingError(
                "a prompt is empty",
                received="a row of the attention mask that is all 0",
                remedy="give every prompt at least one token, such as the start token",
            )
        if not is_count(k):
            raise DecodingError("asked for no item", received=f"k={k!r}", remedy="ask for k >= 1")


def in_evaluation_mode(model: PreTrainedModel, run: Callable[[], Result]) -> Result:
    """Runs with a model in evaluation mode and leaves it in the mode it came in."""
    if not model.training:
        return run()
    model.eval()
    try:
        return run()
    finally:
        model.train()


def _end_token(model: PreTrainedModel, eos: str) -> tuple[int, ...]:
    if eos == "none":
        return ()
    ends = model.config.get_text_config().eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    if eos != "score" or ends[0] is None:
        raise DecodingError(
            "the end-of-sequence token cannot be scored",
            received=f"eos={eos!r}, a model whose token is {ends[0]}",
            remedy='pass eos="none" or eos="score", and a model whose config has an eos_token_id',
        )
    return (int(ends[0]),)


def _checked_tokens(tokens: Sequence[int], model: PreTrainedModel) -> tuple[int, ...]:
    rows = int(model.config.get_text_config().vocab_size)
    wrong = [token for token in tokens if not 0 <= token < rows]
    if wrong:
        raise DecodingError(
            "a token before or after an ID is not in the vocabulary",
            received=wrong[0],
            remedy=f"use token ids from 0 to {rows - 1}",
        )
    return tuple(int(token) for token in tokens)
