"""A teacher for models that read items: the mixture of four neighbourhood rankers, cross-fitted.

Does not know the model that learns from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genrec.baselines.bm25 import BM25
from genrec.baselines.cross_fitting import cross_fitted_lists
from genrec.baselines.hybrid import Part
from genrec.baselines.item_knn import ItemKNN
from genrec.baselines.log_linear import LogLinearMixture, fit_log_linear
from genrec.baselines.markov_knn import MarkovKNN
from genrec.baselines.tuning import NEXT_TWELVE, tune_content_knn, tune_item_knn, tune_markov_knn
from genrec.data import InteractionLog, ItemTable, Split
from genrec.embeddings import EmbeddingTable
from genrec.ranking import Ranker

DEPTH = 60  # items of a neighbour's list
TUNED_ON = 4000  # validation cases that parameters are chosen on


def neighbour_teacher(
    items: ItemTable,
    vectors: EmbeddingTable,
    split: Split,
    item_ids: Sequence[str],
    *,
    fields: Sequence[str],
    log_folder: Path,
    k: int = 40,
    folds: int = 10,
    max_history: int = 50,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """What content-kNN, BM25, item-kNN and Markov-kNN together expect after every training interaction.

    Parameters and the powers of the log-linear mixture are chosen on validation cases with neighbours of the
    whole training log. Then each fold of users is asked of neighbours that counted the others.

    Args:
        items: What BM25 reads.
        vectors: What content-kNN compares.
        split: Training log and validation cases; test cases are not looked at.
        item_ids: The catalog.
        fields: Text fields of BM25's documents; none = without BM25.
        log_folder: Gets `content-knn.jsonl`, `item-knn.jsonl`, `markov-knn.jsonl` and `mixture.jsonl`: all
            that was tried.
        k: Items a list.
        folds: Of the users.
        max_history: Interactions a list is made from, the newest.
        seed: Of the deal of users into folds.

    Returns:
        As `cross_fitted_lists`: catalog rows and shares `[interactions, k]`.
    """
    train, validation, names = split.train, split.validation, list(item_ids)
    fixed: list[Ranker] = [
        tune_content_knn(
            vectors,
            validation,
            names,
            repeats=(True,),  # the mixture has one factor of repeats for all
            train=train,
            max_cases=TUNED_ON,
            log_file=log_folder / "content-knn.jsonl",
        )
    ]
    if fields:
        fixed.append(BM25(items, names, fields=fields))
    knn = tune_item_knn(train, validation, names, max_cases=TUNED_ON, log_file=log_folder / "item-knn.jsonl")
    markov = tune_markov_knn(
        train,
        validation,
        names,
        gaps=(NEXT_TWELVE,),
        max_cases=TUNED_ON,
        log_file=log_folder / "markov-knn.jsonl",
    )
    fitted = fit_log_linear(
        [Part(ranker, 1.0, "share") for ranker in (*fixed, knn, markov)],
        validation,
        depth=DEPTH,
        max_cases=TUNED_ON,
        log_file=log_folder / "mixture.jsonl",
        name="teacher",
    )
    powers = [part.weight for part in fitted.parts]

    def of_others(others: InteractionLog) -> LogLinearMixture:
        counted: list[Ranker] = [
            ItemKNN(
                others,
                names,
                decay=knn.decay,
                shrinkage=knn.shrinkage,
                self_similarity=knn.self_similarity,
            ),
            MarkovKNN(others, names, gaps=NEXT_TWELVE, decay=markov.decay, shrinkage=markov.shrinkage),
        ]
        parts = [
            Part(ranker, power, "share") for ranker, power in zip([*fixed, *counted], powers, strict=True)
        ]
        return LogLinearMixture(parts, floor=fitted.floor, repeat=fitted.repeat, depth=DEPTH, name="teacher")

    return cross_fitted_lists(of_others, train, names, k=k, folds=folds, max_history=max_history, seed=seed)
