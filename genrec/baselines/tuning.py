"""Parameters of the neighbourhood baselines, chosen on validation cases over a small grid.

Does not know the test cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genrec.baselines.content_knn import ContentKNN
from genrec.baselines.grid_search import GridSearch, Setting
from genrec.baselines.item_knn import ItemKNN
from genrec.baselines.markov_knn import MarkovKNN
from genrec.data import Cases, InteractionLog
from genrec.embeddings import EmbeddingTable

# What the following items of a history count in a Markov chain.
NEXT_THREE = (1.0, 0.5, 0.3)
NEXT_TWELVE = tuple(round(gap**-0.5, 3) for gap in range(1, 13))


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
    repeats: Sequence[bool] = (True, False),
    train: InteractionLog | None = None,
    max_cases: int = 4_000,
    log_file: str | Path | None = None,
) -> ContentKNN:
    """Chooses power and decay of `ContentKNN` together, then self-similarity, then whether items repeat.

    History items are not masked. Of equal values the first one tried stays; the first of each list is the
    default.

    Args:
        vectors: Content vectors.
        validation: Cases that are not reported.
        item_ids: The catalog; None = all items with a vector.
        powers: Tried.
        decays: Tried.
        self_similarities: Tried.
        repeats: Tried.
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
            repeats=chosen["repeats"],
            train=train,
        )

    first = {"self_similarity": self_similarities[0], "repeats": repeats[0]}
    grid = [{"power": power, "decay": decay, **first} for power in powers for decay in decays]
    best = search.over(make, grid)
    best = search.over(make, [best | {"self_similarity": similarity} for similarity in self_similarities[1:]])
    search.over(make, [best | {"repeats": allowed} for allowed in repeats[1:]])
    return search.chosen(make)


def tune_markov_knn(
    train: InteractionLog,
    validation: Cases,
    item_ids: Sequence[str],
    *,
    gaps: Sequence[Sequence[float]] = (NEXT_TWELVE, NEXT_THREE, (1.0,)),
    decays: Sequence[float | None] = (0.5, 0.4, None),
    shrinkages: Sequence[float] = (100.0, 50.0, 200.0, 20.0),
    max_cases: int = 10_000,
    log_file: str | Path | None = None,
) -> MarkovKNN:
    """Chooses gaps and decay of `MarkovKNN` together, then the shrinkage.

    Of equal values the first one tried stays. A chain that looks past the next item and at the whole history
    was far ahead of the plain one on the validation cases of Amazon Scientific and Beauty.

    Args:
        train: The training log.
        validation: Cases that are neither trained on nor reported.
        item_ids: The catalog.
        gaps: Tried.
        decays: Tried with each; None = the last item alone.
        shrinkages: Tried in the end; the first one stands until then.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.

    Raises:
        DataError: No validation case, or a parameter out of range.
    """
    search = GridSearch(validation, max_cases=max_cases, log_file=log_file)

    def make(chosen: Setting) -> MarkovKNN:
        return MarkovKNN(
            train, item_ids, gaps=chosen["gaps"], decay=chosen["decay"], shrinkage=chosen["shrinkage"]
        )

    settings: list[Setting] = [
        {"gaps": tuple(one), "decay": decay, "shrinkage": shrinkages[0]} for one in gaps for decay in decays
    ]
    best = search.over(make, settings)
    search.over(make, [{**best, "shrinkage": shrinkage} for shrinkage in shrinkages[1:]])
    return search.chosen(make)
