"""A language model with a catalog as a `Ranker`, and as the search behind every kind of request.

Does not know titles, bundles or metrics: histories or prompts in, ranked item ids out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from genrec.catalog import Catalog, CatalogTrie
from genrec.decoding import ConstrainedBeamSearch, Normalization
from genrec.tasks import PromptBuilder


@dataclass(frozen=True)
class RankedItems:
    """Lists of items, best first.

    Attributes:
        items: object `[n, k]`, "" where a list is shorter.
        scores: float32 `[n, k]`, nats; minus infinity there.
        certified: bool `[n, k]`: no item outside the list has a higher log-probability.
    """

    items: np.ndarray
    scores: np.ndarray
    certified: np.ndarray

    @classmethod
    def empty(cls, n: int, k: int) -> RankedItems:
        """Lists with nothing in them yet."""
        return cls(
            np.full((n, k), "", dtype=object),
            np.full((n, k), -np.inf, dtype=np.float32),
            np.zeros((n, k), dtype=bool),
        )


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
        ranked = RankedItems.empty(len(histories), k)
        items, scores = ranked.items, ranked.scores
        known = [[item for item in history if item in self.catalog] for history in histories]
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
        """The prompt of a history of catalog items, int64 `[tokens]`.

        Raises:
            DataError: An item that is not in the catalog.
        """
        return self.builder.history(self.catalog.codes[self.catalog.rows(list(history))])

    def after_prompts(
        self,
        prompts: Sequence[np.ndarray],
        k: int,
        *,
        allowed: Sequence[np.ndarray | None] | None = None,
        exclude: Sequence[Sequence[int]] | None = None,
        exact: bool = False,
    ) -> RankedItems:
        """The k best items after each prompt.

        Args:
            prompts: Token ids, int64 `[tokens]` each.
            k: Items a prompt.
            allowed: For each prompt which catalog rows may come out, bool `[catalog]`; None = any.
            exclude: For each prompt catalog rows that are left out.
            exact: Prove the lists.
        """
        found = RankedItems.empty(len(prompts), k)
        masks: list[np.ndarray | None] = list(allowed or [None] * len(prompts))
        for i, rows in enumerate(exclude or ()):
            mask = masks[i]
            if len(rows) and mask is not None:
                mask = mask.copy()
                mask[list(rows)] = False
                masks[i] = mask
        # prompts of like length share a batch
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
        for start in range(0, len(order), self.batch_size):
            for chosen in _of_one_mask(order[start : start + self.batch_size], masks):
                without = [set() if exclude is None else set(exclude[i]) for i in chosen]
                self._fill(found, chosen, [prompts[i] for i in chosen], masks[chosen[0]], without)
        return found

    def _fill(
        self,
        found: RankedItems,
        chosen: list[int],
        prompts: list[np.ndarray],
        mask: np.ndarray | None,
        without: list[set[int]],
    ) -> None:
        if mask is not None and not mask.any():
            return
        k = found.items.shape[1]
        wanted = k if mask is not None else min(k + max(map(len, without)), len(self.catalog))
        ids, real = self._padded(prompts)
        result = self._search(mask).search(torch.from_numpy(ids), torch.from_numpy(real), wanted)
        rows, scores = result.rows.cpu().numpy(), result.scores.float().cpu().numpy()  # [batch, wanted]
        if mask is not None:
            rows = np.where(rows >= 0, np.flatnonzero(mask)[rows], -1)
        for place, i in enumerate(chosen):
            kept = [
                c for c, row in enumerate(rows[place].tolist()) if row >= 0 and row not in without[place]
            ][:k]
            found.items[i, : len(kept)] = self.catalog.item_array[rows[place, kept]]
            found.scores[i, : len(kept)] = scores[place, kept]

    def _search(self, mask: np.ndarray | None) -> ConstrainedBeamSearch:
        if mask is None:
            return self.search
        trie = CatalogTrie.from_codes(self.catalog.codes[mask], self.catalog.spec.codebook_sizes)
        return ConstrainedBeamSearch(
            self.search.model,
            trie,
            self.builder.vocabulary,
            normalize=self.search.normalize,
            num_beams=self.search.num_beams,
        )

    def _padded(self, prompts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        longest = max(len(prompt) for prompt in prompts)
        ids = np.full((len(prompts), longest), self.builder.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = prompt
            mask[row, longest - len(prompt) :] = 1
        return ids, mask


def _of_one_mask(chosen: list[int], masks: Sequence[np.ndarray | None]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for i in chosen:
        groups.setdefault(id(masks[i]), []).append(i)
    return list(groups.values())
