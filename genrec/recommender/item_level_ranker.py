"""The item-level generator with its catalog as a `Ranker`, and as the search behind every kind of request.

Does not know titles, files or metrics: histories of item ids in, ranked item ids out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from genrec.baselines import ContentKNN
from genrec.catalog import Catalog
from genrec.decoding import BeamSearchResult, HybridItemSearch, ItemLevelSearch
from genrec.errors import DecodingError
from genrec.models import ItemLevelModel
from genrec.recommender.generative_ranker import RankedItems, checked_batch_size, searched_at_once
from genrec.tasks.item_sequences import padded_items


class ItemLevelRanker:
    """Ranks by beam search over the catalog's trie; part of the `Ranker` protocol.

    Args:
        model: The model.
        catalog: Its items.
        num_beams: Prefixes kept a level.
        batch_size: Histories searched at once, fewer where beams are wide.
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
        self.batch_size = checked_batch_size(batch_size)
        self.popular_items = [item for item in popular_items if item in catalog]
        self.max_history = model.config.max_positions
        self.content = content
        self._open = None if catalog.active.all() else catalog.active
        if content is not None:  # rows of a catalog that has grown are not in canonical order
            column_of = {item: column for column, item in enumerate(content.catalog.names.tolist())}
            self._columns = np.array([column_of[item] for item in catalog.item_ids])  # [catalog]
        self.alone = ItemLevelSearch(model, num_beams=num_beams)
        self.mixed = HybridItemSearch(model, weight=content_weight, num_beams=num_beams)
        self.exhaustive = HybridItemSearch(model, weight=content_weight, num_beams=len(catalog))

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
        known = [[item for item in history if item in self.catalog] for history in histories]
        ranked = RankedItems.empty(len(histories), k)
        items, scores = ranked.items, ranked.scores
        filled = [i for i in range(len(known)) if known[i]]
        found = self.after_prompts([self.prompt(known[i]) for i in filled], k)
        items[filled], scores[filled] = found.items, found.scores
        popular = self.popular_items[:k]
        for i in range(len(known)):
            if not known[i]:
                items[i, : len(popular)] = popular
                scores[i, : len(popular)] = -np.arange(1, len(popular) + 1)
        return items, scores

    def prompt(self, history: Sequence[str]) -> np.ndarray:
        """What the model is asked with: the catalog rows of a history, int64 `[items]`.

        Raises:
            DataError: An item that is not in the catalog.
        """
        return np.asarray(self.catalog.rows(list(history)), dtype=np.int64)

    def after_prompts(
        self,
        prompts: Sequence[np.ndarray],
        k: int,
        *,
        allowed: Sequence[np.ndarray | None] | None = None,
        exclude: Sequence[Sequence[int]] | None = None,
        exact: bool = False,
    ) -> RankedItems:
        """The k best items after each history; see `GenerativeRanker.after_prompts`.

        Args:
            prompts: Catalog rows, oldest first, at least one each; the model reads the newest `max_history`.
            k: Items a history.
            allowed: For each history which catalog rows may come out, bool `[catalog]`; None = any.
            exclude: For each history catalog rows that are left out.
            exact: Prove the lists; with content by rating every item.
        """
        found = RankedItems.empty(len(prompts), k)
        every = exact and self.content is not None
        width = self.exhaustive.num_beams if every else self.alone.num_beams
        size = searched_at_once(self.batch_size, max(k, width))
        for chosen in self._batches(prompts, size):
            asked = [prompts[i] for i in chosen]
            masks = [self._open if allowed is None or allowed[i] is None else allowed[i] for i in chosen]
            left_out = [[] if exclude is None else exclude[i] for i in chosen]
            result = self._search(asked, k, masks, left_out, exact)
            found.put(chosen, result, self.catalog.item_array)
        return found

    def scores(self, prompts: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What given items are ranked by after each history, whatever a search would find.

        Args:
            prompts: Catalog rows of each history.
            rows: Catalog rows to rate, int64 `[m]` for each history.

        Returns:
            float32 `[m]` for each history: log-probabilities, with content the mixed values.
        """
        found = []
        for prompt, asked in zip(prompts, rows, strict=True):
            if not len(asked):
                found.append(np.empty(0, dtype=np.float32))
                continue
            rated = torch.from_numpy(np.asarray(asked, dtype=np.int64)[None])
            values = self.alone.score(*self._padded([prompt]), rated)[0].float().cpu().numpy()
            if self.content is not None:
                values = np.exp(values) + self.mixed.weight * self._shares([prompt])[0, asked]
            found.append(values.astype(np.float32))
        return found

    def _search(
        self,
        prompts: list[np.ndarray],
        k: int,
        allowed: list[np.ndarray | None],
        exclude: list[Sequence[int]],
        exact: bool,
    ) -> BeamSearchResult:
        items, lengths = self._padded(prompts)
        free = not any(map(len, exclude))
        if self.content is None:
            left_out = None if free else exclude
            masks = None if all(mask is None for mask in allowed) else allowed
            return self.alone.search(items, lengths, k, allowed=masks, exclude=left_out, exact=exact)
        open_items = None
        if not free or any(mask is not None for mask in allowed):
            open_items = torch.ones(len(prompts), len(self.catalog), dtype=torch.bool)
            for place, (mask, rows) in enumerate(zip(allowed, exclude, strict=True)):
                if mask is not None:
                    open_items[place] = torch.from_numpy(mask)
                open_items[place, list(rows)] = False
        hybrid = self.exhaustive if exact else self.mixed
        return hybrid.search(items, lengths, torch.from_numpy(self._shares(prompts)), k, allowed=open_items)

    def _shares(self, prompts: Sequence[np.ndarray]) -> np.ndarray:
        assert self.content is not None
        histories = [self.catalog.item_array[prompt].tolist() for prompt in prompts]
        shares: np.ndarray = self.content.shares(histories)[:, self._columns]  # [batch, catalog]
        return shares

    def _padded(self, prompts: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        return padded_items([prompt[-self.max_history :] for prompt in prompts])

    def _batches(self, prompts: Sequence[np.ndarray], size: int) -> Iterator[list[int]]:
        """Numbers of histories of like length, so many as are searched at once."""
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
        for start in range(0, len(order), size):
            yield order[start : start + size]
