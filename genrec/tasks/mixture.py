"""Several tasks as one map-style source of training rows.

Does not know batches or processes: row `i` of epoch `e` is a pure function of (seed, e, i), which is what
makes resuming exact and one process equal to many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.seqrec import SeqRec


class Task(Protocol):
    """What a mixture is made of."""

    name: str

    def __len__(self) -> int:
        """Rows an epoch."""
        ...

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch."""
        ...

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of a row."""
        ...


class TaskMixture:
    """The rows of all tasks, one after the other; the trainer's sampler shuffles them.

    Args:
        catalog: The catalog whose Semantic IDs the rows speak.
        tasks: At least one task.
        seed: Seed of everything drawn inside rows.

    Raises:
        DataError: No task.
    """

    def __init__(self, catalog: Catalog, tasks: Sequence[Task], *, seed: int = 0) -> None:
        if not tasks:
            raise DataError(
                "a mixture needs a task", received="an empty list", remedy="pass at least one task"
            )
        self.catalog = catalog
        self.tasks = tuple(tasks)
        self.seed = seed
        self._ends = np.cumsum([len(task) for task in self.tasks])

    @classmethod
    def seqrec(
        cls, catalog: Catalog, log: InteractionLog, *, max_history: int = 20, seed: int = 0
    ) -> TaskMixture:
        """The mixture of `seqrec` alone."""
        return cls(catalog, [SeqRec.from_log(catalog, log, max_history=max_history)], seed=seed)

    def __len__(self) -> int:
        """Rows an epoch, all tasks together."""
        return int(self._ends[-1])

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch, all tasks together."""
        return sum(task.num_targets for task in self.tasks)

    def row(self, index: int, epoch: int, builder: PromptBuilder) -> dict[str, np.ndarray]:
        """Row `index` of an epoch: `input_ids` and `labels`, int64 `[length]`."""
        which = int(np.searchsorted(self._ends, index, side="right"))
        inside = index - (int(self._ends[which - 1]) if which else 0)
        rng = np.random.default_rng((self.seed, epoch, index))
        ids, labels = self.tasks[which].row(inside, rng, builder)
        return {"input_ids": ids, "labels": labels}


class TokenRows:
    """A mixture in one vocabulary: the map-style data set a data loader reads.

    Args:
        mixture: The tasks.
        builder: The prompt builder that serving will use.
    """

    def __init__(self, mixture: TaskMixture, builder: PromptBuilder) -> None:
        self.mixture = mixture
        self.builder = builder
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that rows are drawn for."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Rows an epoch."""
        return len(self.mixture)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Row `index` of the current epoch."""
        return self.mixture.row(int(index), self.epoch, self.builder)
