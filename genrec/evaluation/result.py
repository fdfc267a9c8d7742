"""`EvaluationResult`: what was measured of one ranker.

Does not know how it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from genrec.evaluation.run import RetrievalRun

Intervals = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class SliceResult:
    """The numbers of one ranker on some of the cases.

    Attributes:
        cases: How many.
        metrics: Metric -> mean over them; empty where there is none.
        intervals: Metric -> lower and upper end of the 95 % bootstrap interval.
    """

    cases: int
    metrics: Mapping[str, float]
    intervals: Intervals

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {"cases": self.cases, **_plain(self.metrics, self.intervals)}


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
        coverage: Share of the catalog that stands in some list up to the largest cut-off; None = not counted.
        slices: Slice -> its numbers; empty without a training log.
        id_level: The same metrics where a hit counts for the Semantic ID, whichever item of that ID was
            meant: what tables that count IDs print. None without IDs.
        run: The lists themselves; None where they were not kept.
    """

    name: str
    metrics: Mapping[str, float]
    intervals: Intervals
    per_user: Mapping[str, np.ndarray] = field(repr=False)
    user_ids: tuple[str, ...] = field(repr=False)
    cases: str
    history_masked: bool
    invalid_rate: float
    duplicate_rate: float
    seconds: float
    coverage: float | None = None
    slices: Mapping[str, SliceResult] = field(default_factory=dict)
    id_level: SliceResult | None = None
    run: RetrievalRun | None = field(default=None, repr=False)

    @property
    def masking(self) -> str:
        """The rule of masking, in words."""
        return masking_rule(self.history_masked) if self.run is None else self.run.masking

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file; users and their values stay out."""
        more: dict[str, Any] = {}
        if self.coverage is not None:
            more["coverage"] = float(self.coverage)
        if self.slices:
            more["slices"] = {name: part.to_dict() for name, part in self.slices.items()}
        if self.id_level is not None:
            more["id_level"] = _plain(self.id_level.metrics, self.id_level.intervals)
        return {
            "name": self.name,
            "cases": len(self.user_ids),
            "history_masked": self.history_masked,
            **_plain(self.metrics, self.intervals),
            "invalid_rate": self.invalid_rate,
            "duplicate_rate": self.duplicate_rate,
            "seconds": round(self.seconds, 1),
            **more,
        }


def masking_rule(history_masked: bool) -> str:
    """The rule of masking histories, in words."""
    return f"history masked: {'yes' if history_masked else 'no'}"


def _plain(metrics: Mapping[str, float], intervals: Intervals) -> dict[str, Any]:
    return {
        "metrics": {name: float(value) for name, value in metrics.items()},
        "intervals_95": {name: [float(end) for end in ends] for name, ends in intervals.items()},
    }
