"""Parameters of the neighbourhood baselines, chosen on validation cases over a small grid.

Does not know the test cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genrec.baselines.content_knn import ContentKNN
from genrec.baselines.grid_search import GridSearch, Setting
from genrec.baselines.item_knn import ItemKNN
from genrec.data import Cases, InteractionLog
from genrec.embeddings import EmbeddingTable


def tune_item_knn(
    train: InteractionLog,
    validation: Cases,
    item_ids: Sequence[str],
    *,
    decays: Sequence[float] = (0.5, 0.4, 0.6, 0.8),
    shrinkages: Sequence[float] = (100.0, 20.0, 5.0, 0.0),
    self_similarities: Sequence[float] = (0.0, 0.1, 1.0),
    max_cases: int = 10_000,
    log_file: str | Path | None = None,
) -> ItemKNN:
    """Chooses decay and shrinkage of `ItemKNN` together, then the similarity of an item to itself.

    History items are not masked. Of equal values the first one tried stays; the first of each list is the
    default.

    Args:
        train: The training log.
        validation: Cases that are neither trained on nor reported.
        item_ids: The catalog.
        decays: Tried.
        shrinkages: Tried.
        self_similarities: Tried.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.

    Raises:
        DataError: No validation case, or a parameter out of range.
    """
    search = GridSearch(validation, max_cases=max_cases, log_file=log_file)

    def make(chosen: Setting) -> ItemKNN:
        return ItemKNN(
            train,
            item_ids,
            decay=chosen["decay"],
            shrinkage=chosen["shrinkage"],
            self_similarity=chosen["self_similarity"],
        )

    grid = [
        {"decay": decay, "shrinkage": shrinkage, "self_similarity": self_similarities[0]}
        for decay in decays
        for shrinkage in shrinkages
    ]
    best = search.over(make, grid)
    search.over(make, [best | {"self_similarity": similarity} for similarity in self_similarities[1:]])
    return search.chosen(make)


def tune_content_knn(
    vectors: EmbeddingTable,
    validation: Cases,
    item_ids: Sequence[str] | None = None,
    *,
    powers: Sequence[float] = (8.0, 4.0, 16.0),
    decays: Sequence[float] = (0.4, 0.2, 0.6),
    self_similarities: Sequence[float] = (0.0, 1.0),
    train: InteractionLog | None = None,
    max_cases: int = 4_000,
    log_file: str | Path | None = None,
) -> ContentKNN:
    """Chooses power and decay of `ContentKNN` together, then the similarity of an item to itself.

    History items are not masked. Of equal values the first one tried stays; the first of each list is the
    default.

    Args:
        vectors: Content vectors.
        validation: Cases that are not reported.
        item_ids: The catalog; None = all items with a vector.
        powers: Tried.
        decays: Tried.
        self_similarities: Tried.
        train: Training log for the order of popularity.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.

    Raises:
        DataError: No validation case, or a parameter out of range.
    """
    search = GridSearch(validation, max_cases=max_cases, log_file=log_file)

    def make(chosen: Setting) -> ContentKNN:
        return ContentKNN(
            vectors,
            item_ids,
            power=chosen["power"],
            decay=chosen["decay"],
            self_similarity=chosen["self_similarity"],
            train=train,
        )

    grid = [
        {"power": power, "decay": decay, "self_similarity": self_similarities[0]}
        for power in powers
        for decay in decays
    ]
    best = search.over(make, grid)
    search.over(make, [best | {"self_similarity": similarity} for similarity in self_similarities[1:]])
    return search.chosen(make)
