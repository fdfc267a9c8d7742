"""Beam search constrained by the catalog's trie: only real items come out, each at most once.

Does not know prompts' wording, item ids or metrics, nor how a model keeps its beams' states: it asks a
`StepModel`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from genrec.catalog import CatalogTrie
from genrec.decoding.normalization import NORMALIZATIONS, Normalization, candidate_log_probs
from genrec.decoding.step_model import load_backend
from genrec.decoding.trie_tables import TrieTables
from genrec.errors import DecodingError
from genrec.vocabulary import SemanticIdVocabulary


@dataclass(frozen=True)
class BeamSearchResult:
    """What a search found, best first.

    Attributes:
        rows: int64 `[batch, k]`, catalog rows; -1 where fewer than k items were found.
        scores: float32 `[batch, k]`, summed log-probabilities in nats; minus infinity where `rows` is -1.
        codes: int64 `[batch, k, L]`, the items' Semantic IDs; -1 where `rows` is -1.
    """

    rows: Tensor
    scores: Tensor
    codes: Tensor


class ConstrainedBeamSearch:
    """Trie-constrained beam search with a decoder-only or an encoder-decoder language model.

    Args:
        model: A causal language model that takes a 4D attention mask, or an encoder-decoder; it is used in
            evaluation mode and left in the mode it came in.
        trie: The catalog's trie over codes.
        vocabulary: Joins codes and token ids.
        normalize: Which tokens share a step's softmax; a model trained with one must be decoded with the
            same.
        num_beams: Prefixes kept a step; never fewer than the `k` asked for.

    Raises:
        DecodingError: Unknown normaliser, no beam, or a trie that does not fit the vocabulary.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        trie: CatalogTrie,
        vocabulary: SemanticIdVocabulary,
        *,
        normalize: Normalization = "full",
        num_beams: int = 20,
    ) -> None:
        if normalize not in NORMALIZATIONS:
            raise DecodingError(
                "unknown normaliser",
                received=repr(normalize),
                remedy=f"use one of {', '.join(NORMALIZATIONS)}",
            )
        if num_beams < 1:
            raise DecodingError(
                "a search needs a beam", received=num_beams, remedy="set num_beams to 1 or more"
            )
        self.model = model
        self.backend = load_backend(model)
        self.normalize: Normalization = normalize
        self.num_beams = num_beams
        self.tables = TrieTables(trie, vocabulary, model.device)

    @torch.no_grad()
    def search(self, input_ids: Tensor, attention_mask: Tensor, k: int) -> BeamSearchResult:
        """The k best items after each prompt.

        Args:
            input_ids: int64 `[batch, prompt]`, padded on either side.
            attention_mask: `[batch, prompt]`, 1 for real tokens.
            k: Items to return; with a catalog of fewer items the rest is filled with -1.

        Raises:
            DecodingError: Shapes that do not agree, an empty prompt, or k below 1.
        """
        self._check(input_ids, attention_mask, k)
        was_training = self.model.training
        self.model.eval()
        try:
            return self._search(input_ids, attention_mask, k)
        finally:
            self.model.train(was_training)

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
        if k < 1:
            raise DecodingError("asked for no item", received=f"k={k}", remedy="ask for k >= 1")

    def _search(self, input_ids: Tensor, attention_mask: Tensor, k: int) -> BeamSearchResult:
        tables, width = self.tables, max(self.num_beams, k)
        batch = len(input_ids)
        head = self.backend.head()
        steps, states = self.backend.start(
            input_ids.to(tables.device),
            attention_mask.to(tables.device).bool(),
            capacity=(tables.length - 1) * width,
        )
        before = 0  # number of the first row of the step before
        scores = torch.zeros(batch, 1, device=tables.device)
        nodes = torch.zeros(batch, 1, dtype=torch.long, device=tables.device)  # the root
        path = torch.empty(batch, 1, 0, dtype=torch.long, device=tables.device)  # codes so far
        for level in range(tables.length):
            children, valid = tables.children(level, nodes)  # [batch, beams, c]
            logits = head.full(states.flatten(0, 1)).unflatten(0, states.shape[:2])  # [batch, beams, vocab]
            log_probs = candidate_log_probs(
                logits, tables.tokens(level, children), valid, tables.level_ids[level], self.normalize
            )
            flat = (scores.unsqueeze(-1) + log_probs).flatten(1)  # [batch, beams * c]
            scores, best = flat.topk(min(width, flat.shape[1]), dim=1)  # [batch, new beams]
            parent = best // children.shape[-1]
            nodes = children.flatten(1).gather(1, best).masked_fill(scores.isinf(), -1)
            codes = tables.codes[level][nodes.clamp(min=0)]
            path = torch.cat([_pick(path, parent), codes.unsqueeze(-1)], dim=-1)
            if level + 1 < tables.length:
                rows = states.shape[1]
                states = steps.step(tables.tokens(level, nodes.clamp(min=0)), parent + before)
                before += rows
        return self._result(nodes, scores, path, k)

    def _result(self, leaves: Tensor, scores: Tensor, path: Tensor, k: int) -> BeamSearchResult:
        found = leaves >= 0
        rows = torch.where(found, self.tables.rows[leaves.clamp(min=0)], -1)
        # best first, equal scores by catalog row: two stable sorts, the lesser key first
        order = torch.where(found, rows, self.tables.num_items).argsort(dim=1, stable=True)
        order = order.gather(1, scores.gather(1, order).argsort(dim=1, descending=True, stable=True))[:, :k]
        rows, scores = rows.gather(1, order), scores.gather(1, order)
        codes = _pick(path, order).masked_fill((rows < 0).unsqueeze(-1), -1)
        missing = k - rows.shape[1]
        if missing > 0:
            rows = torch.nn.functional.pad(rows, (0, missing), value=-1)
            scores = torch.nn.functional.pad(scores, (0, missing), value=float("-inf"))
            codes = torch.nn.functional.pad(codes, (0, 0, 0, missing), value=-1)
        return BeamSearchResult(rows, scores, codes)


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """Rows of `values [batch, n, m]` by `index [batch, j]` -> `[batch, j, m]`."""
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
