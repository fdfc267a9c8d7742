"""Parameters of the text and factor baselines, chosen on validation cases over a small grid.

Does not know the test cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from genrec.baselines.bm25 import BM25
from genrec.baselines.dense_retrieval import DenseRetrieval
from genrec.baselines.grid_search import GridSearch, Setting
from genrec.baselines.implicit_factors import ALS, BPR
from genrec.data import Cases, InteractionLog, ItemTable
from genrec.embeddings import EmbeddingTable
from genrec.ranking import Ranker

R = TypeVar("R", bound=Ranker)

ALS_GRID: tuple[Setting, ...] = tuple(
    {"factors": factors, "regularization": regularization, "alpha": alpha, "decay": 0.8}
    for factors in (64, 256)
    for regularization in (0.1, 1.0)
    for alpha in (10.0, 1.0)
)
BPR_GRID: tuple[Setting, ...] = tuple(
    {"factors": factors, "learning_rate": rate, "regularization": regularization, "decay": 0.8}
    for factors in (64, 128)
    for rate in (0.05, 0.02)
    for regularization in (0.01, 0.001)
)
DECAYS = (0.4, 0.6, 1.0)


def tune_als(
    train: InteractionLog,
    validation: Cases,
    item_ids: Sequence[str],
    *,
    grid: Sequence[Setting] = ALS_GRID,
    decays: Sequence[float] = DECAYS,
    seed: int = 0,
    max_cases: int = 4_000,
    log_file: str | Path | None = None,
) -> ALS:
    """Chooses the settings of `ALS` from a grid, then the recency decay.

    Args:
        train: The training log.
        validation: Cases that are neither trained on nor reported.
        item_ids: The catalog.
        grid: Settings tried; of equal values the first one stays.
        decays: Tried with the best of them.
        seed: Of every fit.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.

    Raises:
        DataError: No validation case, or a parameter out of range.
    """

    def make(chosen: Setting) -> ALS:
        return ALS(train, item_ids, seed=seed, **chosen)

    return _then_decay(make, GridSearch(validation, max_cases=max_cases, log_file=log_file), grid, decays)


def tune_bpr(
    train: InteractionLog,
    validation: Cases,
    item_ids: Sequence[str],
    *,
    grid: Sequence[Setting] = BPR_GRID,
    decays: Sequence[float] = DECAYS,
    seed: int = 0,
    max_cases: int = 4_000,
    log_file: str | Path | None = None,
) -> BPR:
    """Chooses the settings of `BPR` from a grid, then the recency decay; arguments as in `tune_als`."""

    def make(chosen: Setting) -> BPR:
        return BPR(train, item_ids, seed=seed, **chosen)

    return _then_decay(make, GridSearch(validation, max_cases=max_cases, log_file=log_file), grid, decays)


def tune_bm25(
    items: ItemTable,
    validation: Cases,
    item_ids: Sequence[str] | None = None,
    *,
    query_fields: Sequence[tuple[str, ...]] = (("title",), ("title", "categories", "brand")),
    k1s: Sequence[float] = (1.5, 0.9),
    bs: Sequence[float] = (0.75, 0.4),
    decays: Sequence[float] = (0.4, 0.2, 0.6),
    max_cases: int = 2_000,
    log_file: str | Path | None = None,
) -> BM25:
    """Chooses what a history asks with, k1 and b of `BM25` together, then the recency decay.

    Args:
        items: The item table.
        validation: Cases that are not reported.
        item_ids: The catalog; None = all items.
        query_fields: Tried; columns the table lacks are left out.
        k1s: Tried.
        bs: Tried.
        decays: Tried; the first one goes with the others' grid.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.

    Raises:
        DataError: No validation case, or a parameter out of range.
    """

    def make(chosen: Setting) -> BM25:
        return BM25(items, item_ids, **chosen)

    grid = [
        {"query_fields": fields, "k1": k1, "b": b, "decay": decays[0]}
        for fields in query_fields
        for k1 in k1s
        for b in bs
    ]
    return _then_decay(make, GridSearch(validation, max_cases=max_cases, log_file=log_file), grid, decays[1:])


def tune_dense(
    vectors: EmbeddingTable,
    encode: Callable[[Sequence[str]], np.ndarray],
    items: ItemTable,
    validation: Cases,
    item_ids: Sequence[str] | None = None,
    *,
    query_items: Sequence[int] = (1, 2, 3),
    query_fields: Sequence[tuple[str, ...]] = (("title",),),
    max_cases: int = 2_000,
    log_file: str | Path | None = None,
) -> DenseRetrieval:
    """Chooses what makes the query of `DenseRetrieval`: how many items, and which columns of theirs.

    Args:
        vectors: Content vectors.
        encode: Texts to vectors of the same encoder.
        items: The item table.
        validation: Cases that are not reported.
        item_ids: The catalog; None = all items with a vector.
        query_items: Tried.
        query_fields: Tried.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.

    Raises:
        DataError: No validation case.
    """

    def make(chosen: Setting) -> DenseRetrieval:
        return DenseRetrieval(vectors, encode, items, item_ids, **chosen)

    search = GridSearch(validation, max_cases=max_cases, log_file=log_file)
    search.over(
        make, [{"query_items": n, "query_fields": fields} for n in query_items for fields in query_fields]
    )
    return search.chosen(make)


def _then_decay(
    make: Callable[[Setting], R], search: GridSearch, grid: Sequence[Setting], decays: Sequence[float]
) -> R:
    best = search.over(make, grid)
    search.over(make, [best | {"decay": decay} for decay in decays])
    return search.chosen(make)
