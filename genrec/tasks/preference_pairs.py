"""Preferences between real items: what a user chose after a history, against items the user did not choose.

Does not know models or losses. The rejected items are drawn from the log's, or are those that a ranker put
highest by mistake; their Semantic IDs are real ones, as constrained decoding names no other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.ranking import Ranker
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.sequences import Draw, Sequences, Targets, other_items


class PreferencePairs:
    """One row per user: a history, the item chosen next, and the items rejected for it.

    Several rejected items a row are the multiple negatives of S-DPO (arXiv 2406.09215, section 3.2), one is
    DPO's pair (arXiv 2305.18290).

    Args:
        catalog: Items and their Semantic IDs.
        histories: Catalog rows of what the user had before, oldest first, int `[items]` each.
        chosen: Catalog row of each chosen item, int `[rows]`.
        rejected: Catalog rows of the items rejected for it, int `[rows, n]`.

    Raises:
        DataError: No row, arrays of different lengths, no rejected item, or one that was chosen.
    """

    def __init__(
        self, catalog: Catalog, histories: Sequence[np.ndarray], chosen: np.ndarray, rejected: np.ndarray
    ) -> None:
        shapes = f"{len(histories)} histories, chosen {chosen.shape}, rejected {rejected.shape}"
        if not len(histories) or chosen.shape != (len(histories),) or rejected.shape[:-1] != chosen.shape:
            raise DataError(
                "preferences need a chosen item and rejected items for every history",
                received=shapes,
                remedy="give chosen [rows] and rejected [rows, n] for as many histories",
            )
        if not rejected.shape[1]:
            raise DataError(
                "nothing is rejected", received=shapes, remedy="give one rejected item a row or more"
            )
        if (rejected == chosen[:, None]).any():
            row = int((rejected == chosen[:, None]).any(1).argmax())
            raise DataError(
                "an item is chosen and rejected in one row",
                received=f"{catalog.item_ids[chosen[row]]} in row {row}",
                remedy="leave it out of the rejected items",
            )
        self.catalog = catalog
        self.histories = list(histories)
        self.chosen = chosen
        self.rejected = rejected

    @classmethod
    def from_log(
        cls,
        catalog: Catalog,
        log: InteractionLog,
        *,
        num_rejected: int = 1,
        ranker: Ranker | None = None,
        depth: int = 20,
        max_history: int = 20,
        held_out: Collection[str] = (),
        seed: int = 0,
    ) -> PreferencePairs:
        """A next item of every user of a log, and items the user never took there.

        Args:
            catalog: Items and their Semantic IDs.
            log: The training part of a split.
            num_rejected: Rejected items a row.
            ranker: Whose best wrong items are rejected, such as the recommender under training; where a list
                has too few, and with None, they are drawn from the log's items, all as likely.
            depth: Items the ranker is asked for.
            max_history: Longest history of a row.
            held_out: Ids of items that no row may name.
            seed: Of the users' targets and of the drawing.

        Raises:
            DataError: No user has two interactions, or the log has too few items to reject that many.
        """
        sequences = Sequences.from_log(catalog, log, held_out)
        targets = Targets(sequences, max_history=max_history)
        drawn = [targets.draw(i, np.random.default_rng((seed, 0, i))) for i in range(len(targets))]
        pool = np.unique(sequences.rows)
        known = set(pool.tolist())
        found = _mistakes(catalog, ranker, drawn, depth) if ranker is not None else [[]] * len(drawn)
        rejected = np.empty((len(drawn), num_rejected), dtype=np.int64)
        for index, listed in enumerate(found):
            taken = targets.taken(index)
            own = set(taken.tolist())
            wrong = [row for row in listed if row in known and row not in own][:num_rejected]
            rng = np.random.default_rng((seed, 1, index))
            others = other_items(pool, np.append(taken, wrong), num_rejected - len(wrong), rng)
            if len(wrong) + len(others) < num_rejected:
                most = max(len(np.unique(targets.taken(i))) for i in range(len(targets)))
                left = len(pool) - most
                raise DataError(
                    "there are too few items to reject",
                    received=f"{len(pool)} items, {most} of them taken by one user, for "
                    f"num_rejected={num_rejected}",
                    remedy=f"set num_rejected to at most {left}"
                    if left
                    else "leave out users who had all of the log's items, or take a log of more items",
                )
            rejected[index] = [*wrong, *others]
        chosen = np.array([draw.target for draw in drawn], dtype=np.int64)
        return cls(catalog, [draw.history for draw in drawn], chosen, rejected)

    def __len__(self) -> int:
        """Rows."""
        return len(self.histories)

    def row(self, index: int, builder: PromptBuilder) -> dict[str, np.ndarray]:
        """Token ids of row `index`.

        Returns:
            `prompt_ids` `[tokens]`, as serving builds it; `chosen_ids` `[L]`; `rejected_ids` `[n, L]`; int64,
            as `SemanticIdVocabulary.encode` gives them.
        """
        codes, vocabulary = self.catalog.codes, builder.vocabulary
        return {
            "prompt_ids": builder.history(codes[self.histories[index]]),
            "chosen_ids": vocabulary.encode(codes[self.chosen[index]]),
            "rejected_ids": vocabulary.encode(codes[self.rejected[index]]),
        }


def _mistakes(catalog: Catalog, ranker: Ranker, drawn: Sequence[Draw], depth: int) -> list[list[int]]:
    """Catalog rows of a ranker's lists, best first."""
    names = np.array(catalog.item_ids, dtype=object)
    listed, _ = ranker.rank([names[draw.history].tolist() for draw in drawn], depth)  # [rows, depth]
    return [catalog.rows([item for item in row if item]).tolist() for row in listed.tolist()]
