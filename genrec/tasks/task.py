"""`Task`: what a mixture is made of.

Does not know any one task.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from genrec.tasks.prompts import PromptBuilder


class Task(Protocol):
    """A source of training rows; row `index` depends on nothing but the arguments of `row`.

    Attributes:
        name: Name of the task, as in the papers.
    """

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
        """Token ids and labels of a row, int64 `[tokens]`; what is drawn comes from `rng`."""
        ...
