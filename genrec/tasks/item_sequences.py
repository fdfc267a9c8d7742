"""Users' histories as rows of catalog numbers: training data of models that read items, not tokens.

Does not know codes, token ids or models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.tasks.item_augmentation import ItemAugmentation
from genrec.tasks.teacher_lists import TeacherLists

NOTHING = -100  # label of a position from which nothing is learned


class ItemSequences:
    """One row per user with two or more interactions: at every item the next one is to be predicted.

    A user with more than `max_history + 1` interactions gives another random window of that length each
    epoch. Row i of an epoch depends on (seed, epoch, i) alone.

    Args:
        item_ids: The catalog, in the order of its rows.
        log: Training log; interactions with items outside the catalog are left out.
        max_history: Longest history a target is predicted from.
        seed: Decides the windows and what the augmentation does.
        augmentation: Other readings of the rows; None = as they are.
        teacher: Lists after each interaction of the log, from which labels are drawn; None = what came next.

    Raises:
        DataError: No user has two items; or a teacher of another log, or beside an augmentation that moves
            items.
    """

    def __init__(
        self,
        item_ids: Sequence[str],
        log: InteractionLog,
        *,
        max_history: int = 50,
        seed: int = 0,
        augmentation: ItemAugmentation | None = None,
        teacher: TeacherLists | None = None,
    ) -> None:
        check_teacher(teacher, len(log.items), augmentation)
        row_of = {item: row for row, item in enumerate(item_ids)}
        histories = log.histories()
        rows = np.array([row_of.get(item, -1) for item in histories.item_ids], dtype=np.int64)
        rows = rows[histories.items]  # [interactions]
        users = np.repeat(np.arange(len(histories.user_ids)), np.diff(histories.offsets))
        self.positions = np.flatnonzero(rows >= 0)  # in the log
        users, self.rows = users[rows >= 0], rows[rows >= 0]
        lengths = np.bincount(users, minlength=len(histories.user_ids))
        starts = np.cumsum(lengths) - lengths
        self.starts, self.lengths = starts[lengths >= 2], lengths[lengths >= 2]
        self.max_history = max_history
        self.seed = seed
        self.augmentation = augmentation
        self.teacher = teacher
        self.epoch = 0
        if len(self.starts) == 0:
            raise DataError(
                "no user has a next item to learn from",
                received=f"{len(lengths)} users, none with 2 items of the catalog",
                remedy="train on a log with longer histories",
            )

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that windows are drawn for."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Rows an epoch."""
        return len(self.starts)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Row `index`: `items` and the ones that came next, `labels`, int64 `[<= max_history]`."""
        start, length = int(self.starts[index]), int(self.lengths[index])
        kept = min(length, self.max_history + 1)
        if length == kept and self.augmentation is None and self.teacher is None:
            window = self.rows[start : start + kept]
            return {"items": window[:-1], "labels": window[1:]}
        rng = np.random.default_rng((self.seed, self.epoch, int(index)))
        if length > kept:
            start += int(rng.integers(length - kept + 1))
        window = self.rows[start : start + kept]
        if self.augmentation is None:
            items, labels = window[:-1], window[1:]
        else:
            items, labels = self.augmentation.apply(window, rng)
        if self.teacher is not None:
            labels = self.teacher.labels(self.positions[start : start + kept - 1], labels, rng)
        return {"items": items, "labels": labels}


def check_teacher(
    teacher: TeacherLists | None, interactions: int, augmentation: ItemAugmentation | None
) -> None:
    """Whether lists belong to a log and its rows stay where they are.

    Raises:
        DataError: They do not.
    """
    if teacher is None:
        return
    if len(teacher) != interactions:
        raise DataError(
            "the teacher's lists belong to another log",
            received=f"{len(teacher)} lists for {interactions} interactions",
            remedy="make them from the log that trains",
        )
    if augmentation is not None and (augmentation.crop or augmentation.item_dropout or augmentation.reverse):
        raise DataError(
            "a teacher's lists stand at fixed positions",
            received="an augmentation that crops, drops or reverses items",
            remedy="leave these at 0, or do without a teacher",
        )


def padded_items(histories: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Histories as one matrix int64 `[n, longest]`, filled up by 0 on the right, and lengths int64 `[n]`."""
    lengths = torch.tensor([len(history) for history in histories])
    items = torch.zeros(len(histories), int(lengths.max()), dtype=torch.long)
    for row, history in zip(items, histories, strict=True):
        row[: len(history)] = torch.as_tensor(history)
    return items, lengths


def collate_items(rows: Sequence[dict[str, np.ndarray]]) -> dict[str, Tensor]:
    """Rows of `ItemSequences` as one batch: `items` and `labels`, int64 `[batch, longest]`."""
    items, _ = padded_items([row["items"] for row in rows])
    labels = torch.full_like(items, NOTHING)
    for line, row in zip(labels, rows, strict=True):
        line[: len(row["labels"])] = torch.as_tensor(row["labels"])
    return {"items": items, "labels": labels}
