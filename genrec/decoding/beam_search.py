"""Beam search constrained by the catalog's trie: only real items come out, each at most once.

Does not know prompts' wording, item ids or metrics. Prompts are prefilled once; all beams of a prompt then
stand in one sequence behind it, told apart by the attention mask, so the prompt's keys and values are never
copied.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from genrec.catalog import CatalogTrie
from genrec.decoding.normalization import NORMALIZATIONS, Normalization, candidate_log_probs
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
    """Trie-constrained beam search with any decoder-only model that takes a 4D attention mask.

    Args:
        model: A causal language model; it is used in evaluation mode and left in the mode it came in.
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
        ids, real = _left_padded(input_ids.to(tables.device), attention_mask.to(tables.device).bool())
        batch = len(ids)
        lengths = real.sum(dim=1)  # [batch]
        cache = DynamicCache(config=self.model.config)
        out = self.model(
            input_ids=ids,
            attention_mask=real.long(),
            position_ids=(real.long().cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = out.logits[:, -1:]  # [batch, 1 beam, vocabulary]
        scores = torch.zeros(batch, 1, device=tables.device)
        nodes = torch.zeros(batch, 1, dtype=torch.long, device=tables.device)  # the root
        path = torch.empty(batch, 1, 0, dtype=torch.long, device=tables.device)  # codes so far
        seen = real[:, None, :]  # [batch, beams, slots]: slots of the cache a beam attends to
        for level in range(tables.length):
            children, valid = tables.children(level, nodes)  # [batch, beams, c]
            log_probs = candidate_log_probs(
                logits, tables.tokens(level, children), valid, tables.level_ids[level], self.normalize
            )
            flat = (scores.unsqueeze(-1) + log_probs).flatten(1)  # [batch, beams * c]
            scores, best = flat.topk(min(width, flat.shape[1]), dim=1)  # [batch, new beams]
            parent = best // children.shape[-1]
            nodes = children.flatten(1).gather(1, best).masked_fill(scores.isinf(), -1)
            codes = tables.codes[level][nodes.clamp(min=0)]
            path = torch.cat([_pick(path, parent), codes.unsqueeze(-1)], dim=-1)
            if level + 1 == tables.length:
                break
            beams = nodes.shape[1]
            own = torch.eye(beams, dtype=torch.bool, device=tables.device).expand(batch, -1, -1)
            seen = torch.cat(
                [_pick(seen, parent), own], dim=-1
            )  # a beam sees the prompt, its ancestors and itself
            logits = self.model(
                input_ids=tables.tokens(level, nodes.clamp(min=0)),
                attention_mask=_additive(seen, logits.dtype),
                position_ids=(lengths + level)[:, None].expand(-1, beams),
                past_key_values=cache,
                use_cache=True,
            ).logits
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


def _left_padded(input_ids: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Moves every row's padding to the left and drops columns that are padding everywhere."""
    order = real.long().argsort(dim=1, stable=True)  # padding first, tokens in their order behind it
    ids, real = input_ids.gather(1, order), real.gather(1, order)
    longest = int(real.sum(dim=1).max())
    return ids[:, -longest:], real[:, -longest:]


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """Boolean `[batch, queries, slots]` to the 4D additive mask `[batch, 1, queries, slots]`."""
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill(~seen, torch.finfo(dtype).min).unsqueeze(1)
