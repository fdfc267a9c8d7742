"""`EvaluationResult`: what was measured of one ranker.

Does not know how it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class EvaluationResult:
    """The numbers of one ranker on one set of cases.

    Attributes:
        name: The ranker's name.
        metrics: Metric -> mean over the cases: `recall@k`, `ndcg@k`, `mrr@K`.
        intervals: Metric -> lower and upper end of the 95 % bootstrap interval; empty when none was asked
            for.
        per_user: Metric -> float32 `[cases]`, in the order of the cases, so that two rankers can be compared
            in pairs.
        user_ids: The user of each case.
        cases: Fingerprint of the cases.
        history_masked: Whether the items of the history were taken out of the lists.
        invalid_rate: Share of the slots that hold no item of the catalog although there was one to fill them.
        duplicate_rate: Share of the slots whose item stands further up in the same list already.
        seconds: Time the ranker took for all lists.
    """

    name: str
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    per_user: Mapping[str, np.ndarray] = field(repr=False)
    user_ids: tuple[str, ...] = field(repr=False)
    cases: str
    history_masked: bool
    invalid_rate: float
    duplicate_rate: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file; users and their values stay out."""
        return {
            "name": self.name,
            "cases": len(self.user_ids),
            "history_masked": self.history_masked,
            "metrics": {name: float(value) for name, value in self.metrics.items()},
            "intervals_95": {name: [float(end) for end in ends] for name, ends in self.intervals.items()},
            "invalid_rate": self.invalid_rate,
            "duplicate_rate": self.duplicate_rate,
            "seconds": round(self.seconds, 1),
        }
