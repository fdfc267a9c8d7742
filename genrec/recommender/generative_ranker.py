"""A language model with a catalog as a `Ranker`, and as the search behind every kind of request.

Does not know titles, bundles or metrics: histories or prompts in, ranked item ids out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from genrec.catalog import Catalog, TrieFilter
from genrec.decoding import BeamSearchResult, ConstrainedBeamSearch, Normalization
from genrec.errors import DecodingError, is_count
from genrec.tasks import PromptBuilder

ROWS = 32_768  # beams of all histories that are searched at once: long lists go in smaller batches


def searched_at_once(batch_size: int, width: int) -> int:
    """Histories of a batch whose searches keep `width` prefixes each, so that memory does not grow with k."""
    return max(1, min(batch_size, ROWS // width))


def checked_batch_size(batch_size: int) -> int:
    """How many histories are searched at once.

    Raises:
        DecodingError: None.
    """
    if not is_count(batch_size):
        raise DecodingError(
            "a ranker searches for at least one history at once",
            received=f"batch_size={batch_size!r}",
            remedy="set it to 1 or more",
        )
    return batch_size


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
        """Lists with nothing in them yet.

        Raises:
            DecodingError: k below 1, or no whole number.
        """
        if not is_count(k):
            raise DecodingError("asked for no item", received=f"k={k!r}", remedy="ask for k >= 1")
        return cls(
            np.full((n, k), "", dtype=object),
            np.full((n, k), -np.inf, dtype=np.float32),
            np.zeros((n, k), dtype=bool),
        )

    def put(self, chosen: list[int], result: BeamSearchResult, names: np.ndarray) -> None:
        """Sets the lists of some prompts to what a search found for them.

        Args:
            chosen: Numbers of the prompts, in the order of the search.
            result: What it found.
            names: Item ids, object `[catalog]`.
        """
        rows = result.rows.cpu().numpy()  # [batch, k]
        self.items[chosen] = np.where(rows >= 0, names[rows], "")
        self.scores[chosen] = result.scores.float().cpu().numpy()
        self.certified[chosen] = result.certified.cpu().numpy()


class GenerativeRanker:
    """Ranks by constrained beam search after the history's prompt; part of the `Ranker` protocol.

    Args:
        model: The language model.
        builder: The prompt builder of training.
        catalog: Items and their Semantic IDs.
        normalize: The normaliser the model was trained with.
        num_beams: Prefixes kept a step.
        batch_size: Histories searched at once, fewer where long lists are asked for.
        popular_items: Ranked answer to a history without a known item, best first.
        name: Name in reports.

    Raises:
        DecodingError: No beam, no history at once, or a catalog that does not fit the builder's vocabulary.
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
        self.batch_size = checked_batch_size(batch_size)
        self.popular_items = [item for item in popular_items if item in catalog]
        self.search = ConstrainedBeamSearch(
            model, catalog.trie, builder.vocabulary, normalize=normalize, num_beams=num_beams
        )

    @property
    def max_history(self) -> int:
        """Newest items of a history that count."""
        return self.builder.max_history

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
        allowed: Sequence[np.ndarray | TrieFilter | None] | None = None,
        exclude: Sequence[Sequence[int]] | None = None,
        exact: bool = False,
    ) -> RankedItems:
        """The k best items after each prompt.

        Args:
            prompts: Token ids, int64 `[tokens]` each.
            k: Items a prompt.
            allowed: For each prompt which catalog rows may come out, bool `[catalog]` or a filter made of one
                by `CatalogTrie.restrict`; None = any. It changes no score.
            exclude: For each prompt catalog rows that are left out.
            exact: Prove the lists.
        """
        found = RankedItems.empty(len(prompts), k)
        size = searched_at_once(self.batch_size, max(k, self.search.num_beams))
        for chosen, ids, real in self._batches(prompts, size):
            result = self.search.search(
                ids,
                real,
                k,
                allowed=None if allowed is None else [allowed[i] for i in chosen],
                exclude=None if exclude is None else [exclude[i] for i in chosen],
                exact=exact,
            )
            found.put(chosen, result, self.catalog.item_array)
        return found

    def scores(self, prompts: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Log-probabilities of given items after each prompt, whatever a search would find.

        Args:
            prompts: Token ids, int64 `[tokens]` each.
            rows: Catalog rows, int64 `[m]` for each prompt; a row without a Semantic ID in use gets minus
                infinity.

        Returns:
            float32 `[m]` for each prompt, nats.
        """
        found = [np.empty(0, dtype=np.float32)] * len(prompts)
        for chosen, ids, real in self._batches(prompts, self.batch_size):
            longest = max(len(rows[i]) for i in chosen)
            if not longest:
                continue
            asked = np.full((len(chosen), longest), -1, dtype=np.int64)
            for place, i in enumerate(chosen):
                asked[place, : len(rows[i])] = rows[i]
            values = self.search.score(ids, real, torch.from_numpy(asked)).float().cpu().numpy()
            for place, i in enumerate(chosen):
                found[i] = values[place, : len(rows[i])]
        return found

    def _batches(
        self, prompts: Sequence[np.ndarray], size: int
    ) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Prompts of like length together: their numbers, token ids and mask, int64 `[batch, longest]`."""
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            ids, real = self._padded([prompts[i] for i in chosen])
            yield chosen, torch.from_numpy(ids), torch.from_numpy(real)

    def _padded(self, prompts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        longest = max(len(prompt) for prompt in prompts)
        ids = np.full((len(prompts), longest), self.builder.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = prompt
            mask[row, longest - len(prompt) :] = 1
        return ids, mask
