"""Both sides of the decoding benchmark: transformers' constrained beams, and ours, on the same prompts.

Does not know goals or shapes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from benchmark_training_results import synchronised
from torch import Tensor
from transformers import PreTrainedModel

from genrec.catalog import CatalogTrie
from genrec.decoding import BeamSearchResult, ConstrainedBeamSearch
from genrec.vocabulary import SemanticIdVocabulary


@dataclass
class Pair:
    """Seconds of both sides, taken in turn, and whether their first answers agree.

    Attributes:
        ours: Of our search.
        theirs: Of generate.
        identical: Whether items, order and scores (within 1e-4) are equal; None where it is not asked.
        share: Share of generate's items that we return too.
    """

    ours: list[float]
    theirs: list[float]
    identical: bool | None
    share: float

    @property
    def ratio(self) -> float:
        """Generate's time over ours, the median of the pairs."""
        return float(np.median(np.array(self.theirs) / np.array(self.ours)))

    @property
    def note(self) -> str:
        """The times behind the ratio."""
        return f"{np.median(self.theirs):.3g} s against {np.median(self.ours):.3g} s"


def seconds(run: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and its time."""
    synchronised()
    began = time.perf_counter()
    found = run()
    synchronised()
    return found, time.perf_counter() - began


def allowed_tokens(trie: CatalogTrie, vocabulary: SemanticIdVocabulary, begun: int) -> Callable[..., Any]:
    """A `prefix_allowed_tokens_fn` over our own trie: a dictionary of 1M items would take half a gigabyte.

    Args:
        trie: The catalog's.
        vocabulary: Codes to token ids.
        begun: Tokens before the ID in what generate hands over.
    """
    memory: dict[tuple[int, ...], list[int]] = {}

    def allowed(_: int, sent: Tensor) -> list[int]:
        path = tuple(sent[begun:].tolist())
        if path not in memory:
            node = 0
            for level, token in enumerate(path):
                first, end = trie.indptr[level][node : node + 2]
                code = vocabulary.code_of[token]
                node = min(first + int(np.searchsorted(trie.codes[level][first:end], code)), end - 1)
            first, end = trie.indptr[len(path)][node : node + 2]
            memory[path] = vocabulary.token_ids[len(path)][trie.codes[len(path)][first:end]].tolist()
        return memory[path]

    return allowed


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    trie: CatalogTrie,
    vocabulary: SemanticIdVocabulary,
    ids: Tensor,
    mask: Tensor,
    beams: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens `[batch, beams, L]` and scores `[batch, beams]` of transformers' own constrained beams."""
    begun = 1 if model.config.is_encoder_decoder else ids.shape[1]
    out = model.generate(
        ids,
        attention_mask=mask,
        num_beams=beams,
        num_return_sequences=beams,
        prefix_allowed_tokens_fn=allowed_tokens(trie, vocabulary, begun),
        max_new_tokens=trie.length,
        length_penalty=0.0,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
        output_scores=True,
        return_dict_in_generate=True,
    )
    tokens = out.sequences[:, begun:].reshape(len(ids), beams, -1).cpu().numpy()
    return tokens, out.sequences_scores.reshape(len(ids), beams).float().cpu().numpy()


def paired(
    search: ConstrainedBeamSearch, ids: Tensor, mask: Tensor, vocabulary: SemanticIdVocabulary, times: int
) -> Pair:
    """Both searches in turn; where ours normalises as generate does, their answers must agree."""
    ours, theirs = [], []
    beams = search.num_beams
    for turn in range(times):
        found, taken = seconds(lambda: search.search(ids, mask, beams))
        ours.append(taken)
        if turn == 0 and (times > 1 or ids.is_cuda):  # the first call makes ready what later ones find
            ours[0] = seconds(lambda: search.search(ids, mask, beams))[1]
        expected, taken = seconds(lambda: generate(search.model, search.trie, vocabulary, ids, mask, beams))
        theirs.append(taken)
    identical, share = agreement(found, *expected, vocabulary)
    exact = search.normalize == "full" and search.model.dtype == torch.float32
    return Pair(ours, theirs, identical if exact else None, share)


def agreement(
    found: BeamSearchResult, tokens: np.ndarray, scores: np.ndarray, vocabulary: SemanticIdVocabulary
) -> tuple[bool, float]:
    """Whether both sides' lists are equal, and the share of theirs that is in ours."""
    equal, shared, total = True, 0, 0
    for place, rows in enumerate(found.rows.cpu().numpy()):
        real = rows >= 0
        live = scores[place] > -1e8  # dead beams of generate
        codes = found.codes[place].cpu().numpy()[real]
        ours = [tuple(path) for path in vocabulary.encode(codes).tolist()] if real.any() else []
        theirs = [tuple(path) for path in tokens[place][live].tolist()]
        own = found.scores[place].float().cpu().numpy()[real]
        equal &= ours == theirs and np.allclose(own, scores[place][live], atol=1e-4)
        shared += len(set(ours) & set(theirs))
        total += len(theirs)
    return bool(equal), shared / max(total, 1)


@torch.no_grad()
def unconstrained(search: ConstrainedBeamSearch, ids: Tensor, mask: Tensor) -> Tensor:
    """The same packed beams with the same model work and no trie: every code of a position may follow."""
    beams, head = search.num_beams, search.backend.head()
    level_ids: Sequence[Tensor] = search.tables.level_ids
    steps, states = search.backend.start(ids, mask.bool(), (len(level_ids) - 1) * beams)
    scores = torch.zeros(len(ids), 1, device=ids.device)
    first, rows = 0, 1
    for level, of_level in enumerate(level_ids):
        flat = states.flatten(0, 1)
        logits = head.rows(flat, of_level).float()
        if search.normalize == "full":
            logits = logits - head.log_normalizer(flat).unsqueeze(-1)
        total = (scores.unsqueeze(-1) + logits.view(*states.shape[:2], -1)).flatten(1)
        scores, best = total.topk(min(beams, total.shape[1]), dim=1)
        if level + 1 < len(level_ids):
            parent = best // len(of_level) + first
            first, rows = rows, rows + best.shape[1]
            states = steps.step(of_level[best % len(of_level)], parent)
    return scores
