"""The item-level generator with its catalog as a `Ranker`, alone or with content mixed in by the search.

Does not know titles, files or metrics: histories of item ids in, ranked item ids out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from genrec.baselines import ContentKNN
from genrec.catalog import Catalog
from genrec.decoding import BeamSearchResult, HybridItemSearch, ItemLevelSearch
from genrec.errors import DecodingError
from genrec.models import ItemLevelModel
from genrec.tasks.item_sequences import padded_items


class ItemLevelRanker:
    """Ranks by beam search over the catalog's trie; part of the `Ranker` protocol.

    Args:
        model: The model.
        catalog: Its items.
        num_beams: Prefixes kept a level.
        batch_size: Histories searched at once.
        popular_items: Ranked answer to a history without a known item, best first.
        content: Mixed in by the search, see `HybridItemSearch`; None = the model alone.
        content_weight: Of content-kNN's shares beside the model's probabilities.
        name: Name in reports.

    Raises:
        DecodingError: The model was made for other Semantic IDs, or the content's catalog is another one.
    """

    def __init__(
        self,
        model: ItemLevelModel,
        catalog: Catalog,
        *,
        num_beams: int = 50,
        batch_size: int = 128,
        popular_items: Sequence[str] = (),
        content: ContentKNN | None = None,
        content_weight: float = 1.0,
        name: str = "item-level",
    ) -> None:
        codes = catalog.trie.level_codes(catalog.codes)
        if not np.array_equal(model.trie.item_codes().cpu().numpy(), codes):
            raise DecodingError(
                "the model was made for other Semantic IDs",
                received=f"a model of {model.config.num_items} items, a catalog of {len(catalog)}",
                remedy="pass the catalog the model was trained with",
            )
        if content is not None and set(content.catalog.names.tolist()) != set(catalog.item_ids):
            raise DecodingError(
                "the content to be mixed in is of another catalog",
                received=f"{len(content.catalog)} items, the model's catalog has {len(catalog)}",
                remedy="make it as ContentKNN(vectors, catalog.item_ids)",
            )
        self.name = name
        self.catalog = catalog
        self.batch_size = batch_size
        self.popular_items = [item for item in popular_items if item in catalog]
        self.max_history = model.config.max_positions
        self.search = self._searching(model, num_beams, content, content_weight)

    def _searching(
        self, model: ItemLevelModel, num_beams: int, content: ContentKNN | None, weight: float
    ) -> Callable[[list[Sequence[str]], Tensor, Tensor, int], BeamSearchResult]:
        if content is None:
            alone = ItemLevelSearch(model, num_beams=num_beams)
            return lambda histories, items, lengths, k: alone.search(items, lengths, k)
        hybrid = HybridItemSearch(model, weight=weight, num_beams=num_beams)
        # a catalog that has grown keeps its rows, content-kNN has the canonical order
        column_of = {item: column for column, item in enumerate(content.catalog.names.tolist())}
        columns = np.array([column_of[item] for item in self.catalog.item_ids])  # [catalog]
        return lambda histories, items, lengths, k: hybrid.search(
            items, lengths, torch.from_numpy(content.shares(histories)[:, columns]), k
        )

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best items after each history.

        Unknown items of a history are left out. A history without a known item gets the popular items, scored
        by minus their rank.

        Args:
            histories: Item ids, oldest first.
            k: Items a history.

        Returns:
            Items, object `[n, k]` ("" where there are fewer), and log-probabilities, float32 `[n, k]`; with
            content the mixed values, which are no logarithms.
        """
        items = np.full((len(histories), k), "", dtype=object)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        known = [
            self.catalog.rows([item for item in history if item in self.catalog])[-self.max_history :]
            for history in histories
        ]
        order = sorted((i for i in range(len(known)) if len(known[i])), key=lambda i: (len(known[i]), i))
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            asked = [histories[i] for i in chosen]
            found = self.search(asked, *padded_items([known[i] for i in chosen]), k)
            rows = found.rows.cpu().numpy()  # [batch, k]
            items[chosen] = np.where(rows >= 0, self.catalog.item_array[rows], "")
            scores[chosen] = found.scores.cpu().numpy()
        popular = self.popular_items[:k]
        for i in range(len(known)):
            if not len(known[i]):
                items[i, : len(popular)] = popular
                scores[i, : len(popular)] = -np.arange(1, len(popular) + 1)
        return items, scores
