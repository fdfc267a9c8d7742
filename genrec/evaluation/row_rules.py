"""Rules that rank items by row numbers alone, and how often they find the target.

Does not know which numbering is the table's own and which is drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genrec.data import Cases

CUT_OFF = 10

RULES = (
    "rows after the highest of the history",
    "rows nearest to the last item",
    "rows nearest to the history",
)


@dataclass(frozen=True)
class NumberedCases:
    """Cases as item numbers.

    Attributes:
        history: Distinct items of the histories, case after case, int64 `[m]`.
        case: The case of each, int64 `[m]`.
        starts: Where each case begins in `history`, int64 `[cases]`.
        last: Newest item of each history, int64 `[cases]`.
        target: int64 `[cases]`.
    """

    history: np.ndarray
    case: np.ndarray
    starts: np.ndarray
    last: np.ndarray
    target: np.ndarray

    @property
    def size(self) -> int:
        """Number of cases."""
        return len(self.target)

    @classmethod
    def of(cls, item_ids: Sequence[str], cases: Cases) -> NumberedCases:
        """Leaves out cases without a known history item or with an unknown target."""
        index = {item: i for i, item in enumerate(item_ids)}
        flat: list[int] = []
        starts: list[int] = []
        last: list[int] = []
        targets: list[int] = []
        for history, target in zip(cases.histories, cases.targets, strict=True):
            known = [index[item] for item in history if item in index]
            if known and target in index:
                starts.append(len(flat))
                flat.extend(dict.fromkeys(known))
                last.append(known[-1])
                targets.append(index[target])
        lengths = np.diff([*starts, len(flat)]) if starts else np.zeros(0, dtype=np.int64)
        return cls(
            history=np.array(flat, dtype=np.int64),
            case=np.repeat(np.arange(len(targets)), lengths),
            starts=np.array(starts, dtype=np.int64),
            last=np.array(last, dtype=np.int64),
            target=np.array(targets, dtype=np.int64),
        )

    def hits(self, numbering: np.ndarray) -> np.ndarray:
        """Hits among the first ten of each rule, int64 `[rules]`.

        Args:
            numbering: Row of each item, int64 `[items]`.
        """
        total = len(numbering)
        history, last, target = numbering[self.history], numbering[self.last], numbering[self.target]
        highest = np.maximum.reduceat(history, self.starts)  # [cases]
        after = (target > highest) & (target <= highest + CUT_OFF)
        distance = np.abs(target - last)
        # rows nearer to the last item than the target, on both sides of it, as far as the table goes
        nearer = np.minimum(distance - 1, last) + np.minimum(distance - 1, total - 1 - last)
        near_last = (distance > 0) & (nearer < CUT_OFF)
        gap = np.minimum.reduceat(np.abs(history - target[self.case]), self.starts)  # [cases]
        nearer = self._nearer_than(gap, history, highest, total)
        near_history = (gap > 0) & (nearer < CUT_OFF)
        return np.array([after.sum(), near_last.sum(), near_history.sum()])

    def _nearer_than(
        self, gap: np.ndarray, history: np.ndarray, highest: np.ndarray, total: int
    ) -> np.ndarray:
        """Rows outside the history that are nearer to it than `gap`, int64 `[cases]`.

        They are the union of windows around the history's rows, as far as the table goes, without those rows.
        Beyond ten rows from the history there are ten nearer ones on one side at least; those cases get 10.
        """
        close = (gap > 0) & (gap <= CUT_OFF)  # [cases]
        chosen = close[self.case]  # [m]
        case, rows = self.case[chosen], history[chosen]
        order = np.lexsort((rows, case))
        case, rows = case[order], rows[order]
        width = 2 * gap - 1  # [cases]
        same = case[1:] == case[:-1]
        covered = np.minimum(np.diff(rows), width[case[1:]]) * same
        union = width + np.bincount(case[1:], weights=covered, minlength=self.size).astype(np.int64)
        union -= np.bincount(case, minlength=self.size)
        lowest = np.minimum.reduceat(history, self.starts)
        union -= np.maximum(0, gap - 1 - lowest) + np.maximum(0, gap - 1 - (total - 1 - highest))
        return np.where(close, union, CUT_OFF)
