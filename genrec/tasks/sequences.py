"""What users did, as flat arrays of catalog rows, and one target a row drawn from them.

Does not know prompts or token ids.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Sequences:
    """The interactions of a training log over a catalog, without held-out items.

    Attributes:
        rows: int32 `[interactions]`, catalog rows in time order, user after user.
        offsets: int64 `[users + 1]`, where each user's interactions start.
        positions: int64 `[interactions]`, the row of each in the log's table, to look other columns up by.
    """

    rows: np.ndarray
    offsets: np.ndarray
    positions: np.ndarray

    @classmethod
    def from_log(cls, catalog: Catalog, log: InteractionLog, held_out: Collection[str] = ()) -> Sequences:
        """The sequences of a log; interactions with held-out or retired items are left out and counted.

        Args:
            catalog: Every other item of the log must be in it.
            log: The training part of a split.
            held_out: Ids of items that no training row may name.

        Raises:
            DataError: An item that is not in the catalog.
        """
        hidden = {*held_out, *catalog.retired_ids}
        kept_items = np.array([item not in hidden for item in log.item_ids])  # [log's items]
        of_item = np.full(len(log.item_ids), -1, dtype=np.int32)
        of_item[kept_items] = catalog.rows([item for item in log.item_ids if item not in hidden])
        if kept_items.all():
            return cls(of_item[log.items], log.offsets, np.arange(len(log)))
        kept = kept_items[log.items]  # [interactions]
        logger.info("%d interactions with held-out or retired items are left out", int((~kept).sum()))
        offsets = np.concatenate([[0], np.cumsum(kept)])[log.offsets]
        return cls(of_item[log.items[kept]], offsets, np.flatnonzero(kept))

    @property
    def starts(self) -> np.ndarray:
        """Which interactions are their user's first, bool `[interactions]`."""
        first = np.zeros(len(self.rows) + 1, dtype=bool)
        first[self.offsets] = True
        return first[:-1]


@dataclass(frozen=True)
class Draw:
    """One target and what the user had before.

    Attributes:
        history: int32 `[<= max_history]`, catalog rows, oldest first.
        target: Catalog row of the target.
        index: Its place in the sequences' arrays.
    """

    history: np.ndarray
    target: int
    index: int


class Targets:
    """One row per user who has a target; which of the user's targets it is changes from epoch to epoch.

    Args:
        sequences: The interactions.
        eligible: bool `[interactions]`, which of them may be targets; None = all. A user's first interaction
            is one only with `first=True`.
        max_history: Items kept before a target.
        first: Whether a target may have no history.
        what: What is missing where no user has a target, for the message.

    Raises:
        DataError: No user has a target.
    """

    def __init__(
        self,
        sequences: Sequences,
        eligible: np.ndarray | None = None,
        *,
        max_history: int = 20,
        first: bool = False,
        what: str = "a next item to learn from",
    ) -> None:
        chosen = np.ones(len(sequences.rows), dtype=bool) if eligible is None else eligible.copy()
        if not first:
            chosen &= ~sequences.starts
        self.sequences = sequences
        self.max_history = max_history
        places = np.flatnonzero(chosen)
        owners = np.searchsorted(sequences.offsets, places, side="right") - 1
        users, begins = np.unique(owners, return_index=True)
        if not len(users):
            raise DataError(
                f"no user has {what}",
                received=f"{len(sequences.offsets) - 1} users, {len(sequences.rows)} interactions",
                remedy="train on a log with longer histories, or leave the task out",
            )
        self.places = places.astype(np.int32 if len(chosen) < 1 << 31 else np.int64)  # [targets]
        self.begins = np.append(begins, len(places))  # [users with a target + 1], into places
        self.user_starts = sequences.offsets[users]  # [users with a target]
        self.user_ends = sequences.offsets[users + 1]

    def __len__(self) -> int:
        """Users with a target."""
        return len(self.user_starts)

    def taken(self, index: int) -> np.ndarray:
        """All items of user `index`, int32 `[interactions]`, catalog rows."""
        return self.sequences.rows[int(self.user_starts[index]) : int(self.user_ends[index])]

    def draw(self, index: int, rng: np.random.Generator) -> Draw:
        """A target of user `index`, each of the user's as likely as another."""
        begin, end = int(self.begins[index]), int(self.begins[index + 1])
        place = int(self.places[begin + int(rng.integers(end - begin))])
        oldest = max(int(self.user_starts[index]), place - self.max_history)
        rows = self.sequences.rows
        return Draw(rows[oldest:place], int(rows[place]), place)


def other_items(pool: np.ndarray, taken: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws items that a user has not taken, without repeats.

    Args:
        pool: int `[items]`, distinct, ascending.
        taken: int `[interactions]`, the user's items, repeats or not.
        count: Items wanted; where the pool has fewer, all of them come.
        rng: Where chance comes from.

    Returns:
        int `[<= count]`, in random order.
    """
    taken = np.unique(taken)
    # So many places that enough are left when the user's own items are taken out.
    drawn = rng.choice(len(pool), size=min(len(pool), count + len(taken)), replace=False)
    others = pool[drawn]
    return others[~np.isin(others, taken, assume_unique=True)][:count]
