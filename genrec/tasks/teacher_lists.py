"""`TeacherLists`: what another ranker expects after every training interaction, as labels to be drawn.

Does not know how the lists were made, nor which model learns from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genrec.errors import DataError


@dataclass(frozen=True)
class TeacherLists:
    """A teacher's list at every position of the training log: knowledge distillation (Hinton et al. 2015).

    A label drawn from the list anew each epoch is the sampled form of cross-entropy against the teacher's
    distribution: the expected gradient is the same. A teacher that counted the history it is asked about
    knows the answer; make the lists by `genrec.baselines.cross_fitted_lists`.

    Attributes:
        rows: int64 `[interactions, k]`, catalog rows named after each interaction of the log, in its order.
        bounds: float32 `[interactions, k]`, running sums of their shares: the last column is 1, or 0 where
            the teacher says nothing.
        share: That a label is drawn from the list in place of the item that came next.
    """

    rows: np.ndarray
    bounds: np.ndarray
    share: float

    @classmethod
    def of(cls, rows: np.ndarray, shares: np.ndarray, share: float) -> TeacherLists:
        """From lists and what each entry weighs.

        Args:
            rows: int `[interactions, k]`, catalog rows.
            shares: float `[interactions, k]`, not negative; a line of zeros says nothing.
            share: In [0, 1].

        Raises:
            DataError: Two shapes, a negative or missing number, or a share out of range.
        """
        if rows.ndim != 2 or rows.shape != shares.shape or not rows.shape[1]:
            raise DataError(
                "a teacher's rows and shares are not of one shape [interactions, k]",
                received=f"{rows.shape} and {shares.shape}",
                remedy="give both as cross_fitted_lists returns them",
            )
        weights = np.asarray(shares, dtype=np.float32)
        if not 0 <= share <= 1 or not np.all(weights >= 0) or not np.isfinite(weights).all():
            raise DataError(
                "a teacher's share is out of range",
                received=f"share={share}, lowest weight {weights.min(initial=0)}",
                remedy="give finite weights of 0 or more, and a share between 0 and 1",
            )
        bounds = np.cumsum(weights, axis=1)
        total = bounds[:, -1:]
        bounds = np.divide(bounds, total, out=np.zeros_like(bounds), where=total > 0)
        return cls(np.asarray(rows, dtype=np.int64), bounds, share)

    def __len__(self) -> int:
        """Interactions of the log."""
        return len(self.rows)

    def labels(self, positions: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Labels, some of them the teacher's.

        Args:
            positions: int64 `[n]`, interactions of the log.
            labels: int64 `[n]`, catalog rows that came next.
            rng: Decides.
        """
        drawn = rng.random((2, len(positions)))
        bounds = self.bounds[positions]  # [n, k]
        place = (drawn[1][:, None] >= bounds).sum(axis=1)  # k where nothing is said
        asked = (drawn[0] < self.share) & (bounds[:, -1] > 0)
        place = np.minimum(place, bounds.shape[1] - 1)
        taken: np.ndarray = np.where(asked, self.rows[positions, place], labels)
        return taken
