"""From a request (history, query, filters) to a list of items: by the model, by text, or by both.

Does not know conversations or bundles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Protocol

import numpy as np

from genrec.baselines import BM25
from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.errors import DataError
from genrec.recommender.filter_index import FilterIndex
from genrec.recommender.filters import Filters
from genrec.recommender.generative_ranker import RankedItems
from genrec.recommender.query_prompts import QueryPrompts
from genrec.recommender.recommendations import Recommendation, Source, Unknown, known_items

CANDIDATES = 200  # items that text finds for the model to put in order
CONSTANT = 60.0  # of reciprocal rank fusion (Cormack et al., SIGIR 2009)


@dataclass(frozen=True)
class Request:
    """One list that is wanted; ids are known ones.

    Attributes:
        history: Item ids, oldest first.
        query: What is asked for in words, "" = nothing.
        like: Item ids the answer is to resemble.
        filters: What every item has to fulfil.
        exclude: Item ids that are left out besides.
        k: Items wanted.
        exact: Prove the model's list.
        prompt: The prompt of a model that takes the request as a conversation, in place of both.
    """

    history: tuple[str, ...] = ()
    query: str = ""
    like: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    exclude: frozenset[str] = frozenset()
    k: int = 10
    exact: bool = False
    prompt: np.ndarray | None = None


class PromptRanker(Protocol):
    """A model's search: a history in a form of its own in, lists out."""

    popular_items: list[str]

    @property
    def max_history(self) -> int:
        """Newest items of a history that count."""
        ...

    def prompt(self, history: Sequence[str]) -> np.ndarray:
        """What the model is asked with after a history of catalog items, int64."""
        ...

    def after_prompts(
        self,
        prompts: Sequence[np.ndarray],
        k: int,
        *,
        allowed: Sequence[np.ndarray | None] | None = None,
        exclude: Sequence[Sequence[int]] | None = None,
        exact: bool = False,
    ) -> RankedItems:
        """The k best items after each prompt."""
        ...

    def scores(self, prompts: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Scores of given catalog rows after each prompt."""
        ...


class Shortlister:
    """Answers requests.

    - A history alone: the model's search. An empty one: the training log's most used items that fit; where
      filters or exclusions leave too few, the model's search after them, as if they were the history.
    - A query: the model's search after the query's prompt where training had queries (`itemsearch` or
      `query2index`); else BM25 over the item texts, and with a history the 200 best of it in the order of the
      reciprocal-rank sum of BM25 and the model. Items without a word of the query are not found.
    - Items to resemble: as a query, with their texts in its place.

    The filters hold inside the search: what does not fulfil them is closed in the trie.

    Args:
        ranker: The model's search.
        queries: How the model is asked with a query; None = it takes no words.
        catalog: Items and their Semantic IDs.
        items: Their texts.
    """

    def __init__(
        self, ranker: PromptRanker, queries: QueryPrompts | None, catalog: Catalog, items: ItemTable
    ) -> None:
        self.ranker = ranker
        self.queries = queries if queries is not None and queries.known else None
        self.catalog = catalog
        self.items = items
        self._lock = Lock()
        self._row_of = {item: row for row, item in enumerate(catalog.item_ids)}
        self._active = np.array([item in catalog for item in catalog.item_ids])  # retired items have rows too

    @cached_property
    def index(self) -> FilterIndex:
        """The filters' masks over the catalog's rows."""
        return FilterIndex(self.items, self.catalog.item_ids)

    @cached_property
    def texts(self) -> BM25:
        """BM25 over the item texts."""
        return BM25(self.items, self.catalog.item_ids)

    def lists(self, requests: Sequence[Request]) -> list[list[Recommendation]]:
        """One list a request, best first, at most k items; each depends on its own request alone."""
        with self._lock:  # text tokenizers are not to be used by two threads at once
            return self._lists(requests)

    def _lists(self, requests: Sequence[Request]) -> list[list[Recommendation]]:
        found: list[list[Recommendation]] = [[] for _ in requests]
        asked: dict[tuple[int, bool], list[tuple[int, np.ndarray, np.ndarray | None, list[int]]]] = {}
        masks: dict[Filters, np.ndarray] = {}  # requests of the same filters share one mask
        for i, request in enumerate(requests):
            if request.filters and request.filters not in masks:
                masks[request.filters] = self.mask(request.filters)
            mask = masks.get(request.filters)
            left_out = self.rows(request.exclude)
            if mask is not None and not mask.any():
                continue
            prompt: np.ndarray
            if request.prompt is not None:
                prompt = request.prompt
            elif request.like or (request.query and self.queries is None):
                found[i] = self._by_text(request, mask, left_out)
                continue
            elif self.queries is not None and request.query:
                prompt = self.queries.prompt(request.query, self.catalog.codes[self.rows(request.history)])
            elif request.history:
                prompt = self.ranker.prompt(request.history)
            else:
                found[i] = self._without_history(request, mask, left_out)
                continue
            asked.setdefault((request.k, request.exact), []).append((i, prompt, mask, left_out))
        for (k, exact), group in asked.items():
            numbers, prompts, allowed, left = zip(*group, strict=True)
            ranked = self.ranker.after_prompts(prompts, k, allowed=allowed, exclude=left, exact=exact)
            for place, i in enumerate(numbers):
                certified = ranked.certified[place].tolist()
                found[i] = self._shown(ranked.items[place], ranked.scores[place], "model", certified)
        return found

    def scores(self, history: Sequence[str], query: str, item_ids: Sequence[str]) -> np.ndarray:
        """Log-probabilities of catalog items after a history, or after a query the model was trained on."""
        with self._lock:
            if self.queries is not None and query:
                prompt = self.queries.prompt(query, self.catalog.codes[self.rows(history)])
            else:
                prompt = self.ranker.prompt(history)
            return self.ranker.scores([prompt], [np.array(self.rows(item_ids), dtype=np.int64)])[0]

    def rated(
        self, history: Sequence[str], query: str, item_ids: Sequence[str], unknown: Unknown
    ) -> np.ndarray:
        """`scores` by the policies for ids, float32 `[len(item_ids)]`.

        Raises:
            DataError: What `GenerativeRecommender.score` raises.
        """
        known = known_items(self.catalog, history, unknown)
        rated = known_items(self.catalog, item_ids, unknown, "the list to rate")
        if query and self.queries is None:
            raise DataError(
                "this model was not trained on queries, so it has no scores for them",
                received=repr(query)[:200],
                remedy="leave query out, or train with the task itemsearch or query2index",
            )
        if not known and not query:
            raise DataError(
                "there is nothing to rate items by",
                received="an empty history and no query",
                remedy="pass at least one item the catalog has",
            )
        found = dict(zip(rated, self.scores(known, query, rated), strict=True))
        return np.array([found.get(item, -np.inf) for item in item_ids], dtype=np.float32)

    def why_nothing_fits(self, filters: Filters) -> list[tuple[str, int]]:
        """Which single demands are in the way; see `GenerativeRecommender.why_nothing_fits`."""
        if self.mask(filters).any():
            return []
        return [(part.describe()[0], count) for part, count in self.index.obstacles(filters)]

    def mask(self, filters: Filters) -> np.ndarray:
        """Which catalog rows fulfil the filters, retired items left out; bool `[catalog]`."""
        mask: np.ndarray = self.index.mask(filters) & self._active
        return mask

    def rows(self, item_ids: Iterable[str]) -> list[int]:
        """Catalog rows of the items that have one."""
        return [self._row_of[item] for item in item_ids if item in self._row_of]

    def _without_history(
        self, request: Request, mask: np.ndarray | None, left_out: list[int]
    ) -> list[Recommendation]:
        popular = [item for item in self.ranker.popular_items if item not in request.exclude]
        limited = mask is not None or len(popular) < len(self.ranker.popular_items)
        if mask is not None:
            popular = [item for item, fits in zip(popular, mask[self.rows(popular)], strict=True) if fits]
        names = popular[: request.k]
        missing = request.k - len(names)
        if limited and missing and self.ranker.popular_items:
            newest = self.ranker.popular_items[: self.ranker.max_history][::-1]
            ranked = self.ranker.after_prompts(
                [self.ranker.prompt(newest)],
                missing,
                allowed=[mask],
                exclude=[[*left_out, *self.rows(names)]],
            )
            names += [item for item in ranked.items[0] if item]
        scores = -np.arange(1, len(names) + 1, dtype=np.float32)
        return self._shown(np.array(names, dtype=object), scores, "popularity")

    def _by_text(
        self, request: Request, mask: np.ndarray | None, left_out: list[int]
    ) -> list[Recommendation]:
        fits = (self._active if mask is None else mask).copy()
        fits[left_out] = False
        depth = max(CANDIDATES, request.k)
        rows, scores = self._candidates(request, fits, depth)
        history = request.history
        if not len(rows) or not history:
            return self._shown(self.catalog.item_array[rows[: request.k]], scores[: request.k], "text")
        known = self.ranker.scores([self.ranker.prompt(history)], [rows])[0]
        place = np.empty(len(rows), dtype=np.int64)  # each candidate's place in the model's order
        place[np.argsort(-known, kind="stable")] = np.arange(len(rows))
        sums = 1 / (CONSTANT + 1 + np.arange(len(rows))) + 1 / (CONSTANT + 1 + place)
        names = self.catalog.item_array[rows]
        order = np.argsort(-sums, kind="stable")[: request.k]
        return self._shown(names[order], sums[order].astype(np.float32), "text+model")

    def _candidates(self, request: Request, fits: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows that fit and share a word, best first, and their BM25 scores."""
        width = min(len(self.catalog), 4 * depth)
        while True:
            if request.like:
                names, scores = self.texts.rank([list(request.like)], width)
            else:
                names, scores = self.texts.rank_queries([request.query], width)
            shared = scores[0] > 0
            rows = np.array(self.rows(names[0][shared].tolist()), dtype=np.int64)
            kept = fits[rows]
            if kept.sum() >= depth or not shared.all() or width == len(self.catalog):
                return rows[kept][:depth], scores[0][shared][kept][:depth]
            width = min(len(self.catalog), 4 * width)

    def _shown(
        self,
        names: np.ndarray,
        scores: np.ndarray,
        source: Source,
        certified: Sequence[bool] | None = None,
    ) -> list[Recommendation]:
        proven = certified or [False] * len(names)
        return [
            Recommendation(
                item, self.items.title(item), float(score), flag, self.catalog.tokens(item), source
            )
            for item, score, flag in zip(names.tolist(), scores.tolist(), proven, strict=True)
            if item
        ]
