"""A language model with a catalog as a `Ranker`.

Does not know titles, bundles or metrics: histories of item ids in, ranked item ids out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from genrec.catalog import Catalog
from genrec.decoding import ConstrainedBeamSearch, Normalization
from genrec.tasks import PromptBuilder


class GenerativeRanker:
    """Ranks by constrained beam search after the history's prompt; part of the `Ranker` protocol.

    Args:
        model: The language model.
        builder: The prompt builder of training.
        catalog: Items and their Semantic IDs.
        normalize: The normaliser the model was trained with.
        num_beams: Prefixes kept a step.
        batch_size: Histories searched at once.
        popular_items: Ranked answer to a history without a known item, best first.
        name: Name in reports.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        builder: PromptBuilder,
        catalog: Catalog,
        *,
        normalize: Normalization = "allowed",
        num_beams: int = 20,
        batch_size: int = 256,
        popular_items: Sequence[str] = (),
        name: str = "genrec",
    ) -> None:
        self.name = name
        self.builder = builder
        self.catalog = catalog
        self.batch_size = batch_size
        self.popular_items = [item for item in popular_items if item in catalog]
        self.search = ConstrainedBeamSearch(
            model, catalog.trie, builder.vocabulary, normalize=normalize, num_beams=num_beams
        )

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best items after each history.

        Unknown items of a history are left out. A history without a known item gets the popular items, scored
        by minus their rank.

        Args:
            histories: Item ids, oldest first.
            k: Items a history.

        Returns:
            Items, object `[n, k]` ("" where there are fewer), and scores in nats, float32 `[n, k]`.
        """
        items = np.full((len(histories), k), "", dtype=object)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        known = [[item for item in history if item in self.catalog] for history in histories]
        # prompts of like length share a batch; empty ones need no model
        order = sorted((i for i in range(len(known)) if known[i]), key=lambda i: (len(known[i]), i))
        names = np.array(self.catalog.item_ids, dtype=object)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            ids, mask = self.builder.batch([self.catalog.codes[self.catalog.rows(known[i])] for i in chosen])
            found = self.search.search(torch.from_numpy(ids), torch.from_numpy(mask), k)
            rows = found.rows.cpu().numpy()  # [batch, k]
            items[chosen] = np.where(rows >= 0, names[rows], "")
            scores[chosen] = found.scores.float().cpu().numpy()
        popular = self.popular_items[:k]
        for i in range(len(known)):
            if not known[i]:
                items[i, : len(popular)] = popular
                scores[i, : len(popular)] = -np.arange(1, len(popular) + 1)
        return items, scores
