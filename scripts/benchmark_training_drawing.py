"""What a mixture's rows say, apart from how they become token ids, and the time of either.

Does not know which tasks are in the mixture.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from genrec.tasks import TaskMixture


class Recorder:
    """Stands where a prompt builder stands, and keeps what every row says or lets it go.

    Args:
        keep: Whether it is kept.
    """

    held_out = False

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.rows: list[tuple[Any, Any]] = []
        self.empty = np.empty(0, dtype=np.int64)

    def fill(self, template: Any, slots: Any) -> tuple[np.ndarray, np.ndarray]:
        """Takes a row."""
        if self.keep:
            self.rows.append((template, slots))
        return self.empty, self.empty


def seconds_of_drawing(mixture: TaskMixture, epoch: int) -> float:
    """Time of deciding what a row of an epoch says; nothing is kept, as in training."""
    recorder = Recorder(keep=False)
    began = time.perf_counter()
    for index in range(len(mixture)):
        mixture.row(index, epoch, recorder)  # type: ignore[arg-type]
    return (time.perf_counter() - began) / len(mixture)


def seconds_a_row(builder: Any, rows: Sequence[tuple[Any, Any]]) -> tuple[float, list[Any]]:
    """Time of building rows of templates and slots, and the rows."""
    began = time.perf_counter()
    built = [builder.fill(*row) for row in rows]
    return (time.perf_counter() - began) / len(rows), built
