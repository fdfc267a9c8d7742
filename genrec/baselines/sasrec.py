"""`SASRec`: self-attention over the history's items, one softmax over the catalog, as a `Ranker`.

Does not know how the model was trained. Kang and McAuley 2018 (arXiv 1808.09781); the loss is the full
softmax cross-entropy, which beats their sampled negatives by far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from genrec.baselines.catalog_rows import CatalogRows
from genrec.baselines.popularity import popularity_back_off
from genrec.baselines.ranked_lists import best_columns, empty_lists
from genrec.errors import DataError
from genrec.models import ItemSoftmaxModel
from genrec.tasks.item_sequences import padded_items

# Histories scored at once.
BATCH = 256


def sasrec_model(
    num_items: int,
    content: np.ndarray | None = None,
    *,
    content_output: bool = True,
    hidden_size: int = 128,
    num_heads: int = 2,
    max_history: int = 50,
    dropout: float = 0.5,
    seed: int = 0,
    **sizes: Any,
) -> ItemSoftmaxModel:
    """SASRec's network with random weights: section 3's blocks, ReLU feed-forward layers of the same width.

    Args:
        num_items: Items.
        content: float `[items, d]`, content vectors in canonical order, added at the input; None = none.
        content_output: Score items by content as well.
        hidden_size: Width.
        num_heads: Attention heads.
        max_history: Items of a history that count.
        dropout: Dropout rate.
        seed: Seed of the weights.
        sizes: Other fields of `ItemSoftmaxConfig`.
    """
    return ItemSoftmaxModel.for_items(
        num_items,
        content,
        seed=seed,
        content_output=content_output,
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=hidden_size,
        max_positions=max_history,
        dropout=dropout,
        activation="relu",
        input_norm=False,
        **sizes,
    )


class SASRec:
    """Ranks by the log-probability of an item model that scores the whole catalog at once.

    The control without codes of the item-level generator is ranked by the same class.

    Args:
        model: The model, trained on rows in canonical order.
        item_ids: The catalog.
        counts: Training interactions of each item in canonical order, for histories without a known item;
            None = canonical order.
        name: Name in reports.

    Raises:
        DataError: The model was made for another number of items.
    """

    def __init__(
        self,
        model: ItemSoftmaxModel,
        item_ids: Sequence[str],
        *,
        counts: np.ndarray | None = None,
        name: str = "sasrec",
    ) -> None:
        self.name = name
        self.model = model
        self.catalog = CatalogRows(item_ids)
        if model.config.num_items != len(self.catalog):
            raise DataError(
                "the model was made for another catalog",
                received=f"{model.config.num_items} items in the model, {len(self.catalog)} in the catalog",
                remedy="pass the items it was trained on",
            )
        order = popularity_back_off(np.zeros(len(self.catalog)) if counts is None else counts)
        self.back_off = (order * len(self.catalog)).round()  # float32 [items]: minus the rank

    @torch.no_grad()
    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog after each history; the history's own items are not taken out.

        Histories of one length are scored together, so that a list depends on its own history but for the
        rounding of matrix products.

        Args:
            histories: Item ids, oldest first; those outside the catalog are left out.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and log-probabilities in nats, float32 `[n, k]` (minus the rank in
            popularity after a history without a known item); `""` and minus infinity beyond the catalog's
            size.
        """
        items, scores = empty_lists(len(histories), k)
        width = min(k, len(self.catalog))
        known = [self.catalog.known(history)[-self.model.config.max_positions :] for history in histories]
        order = sorted(range(len(known)), key=lambda i: (len(known[i]), i))
        was_training = self.model.training
        self.model.eval()
        for start in range(0, len(order), BATCH):
            chosen = np.array(order[start : start + BATCH])
            dense = self._score([known[i] for i in chosen])  # [batch, items]
            columns = best_columns(dense, width)  # [batch, width]
            items[chosen, :width] = self.catalog.names[columns]
            scores[chosen, :width] = np.take_along_axis(dense, columns, axis=1)
        self.model.train(was_training)
        return items, scores

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        dense = np.repeat(self.back_off[None], len(histories), axis=0)
        filled = [i for i, history in enumerate(histories) if history]
        if filled:
            padded, lengths = padded_items([np.array(histories[i]) for i in filled])
            device = self.model.device
            states = self.model.encode(padded.to(device))[torch.arange(len(filled)), lengths - 1]
            dense[filled] = self.model.logits(states).float().log_softmax(-1).cpu().numpy()
        return dense
