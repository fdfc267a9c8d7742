"""Evaluation of any ranker: metrics with intervals, the row-order probe, reports, the callback for training.

Does not know how a list was made. The callback loads torch, so it is imported when its name is first used.
"""

from typing import TYPE_CHECKING, Any

from genrec.evaluation.evaluator import RetrievalEvaluator
from genrec.evaluation.report import EvaluationReport
from genrec.evaluation.result import EvaluationResult
from genrec.evaluation.row_order_probe import ProbeResult, check_row_order

if TYPE_CHECKING:
    from genrec.evaluation.callback import RetrievalCallback

__all__ = [
    "EvaluationReport",
    "EvaluationResult",
    "ProbeResult",
    "RetrievalCallback",
    "RetrievalEvaluator",
    "check_row_order",
]


def __getattr__(name: str) -> Any:
    """Imports the callback when it is first asked for."""
    if name != "RetrievalCallback":
        raise AttributeError(f"module 'genrec.evaluation' has no attribute {name!r}")
    from genrec.evaluation.callback import RetrievalCallback

    return RetrievalCallback
