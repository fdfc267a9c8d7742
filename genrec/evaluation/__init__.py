"""Evaluation of any ranker: metrics with intervals, tests, leak probes, saved runs, reports, the callback.

Does not know how a list was made. The callback loads torch, so it is imported when its name is first used.
"""

from typing import TYPE_CHECKING, Any

from genrec.evaluation.comparison import Comparison, compare_runs
from genrec.evaluation.comparison_files import compare_folders
from genrec.evaluation.dialogue_cases import DialogueCases
from genrec.evaluation.evaluator import RetrievalEvaluator
from genrec.evaluation.held_out_probe import altered_held_out, check_held_out
from genrec.evaluation.leak_probes import LeakReport, check_leaks
from genrec.evaluation.permutation import permutation_test
from genrec.evaluation.report import EvaluationReport
from genrec.evaluation.result import EvaluationResult, SliceResult
from genrec.evaluation.row_order_probe import ProbeResult, check_row_order
from genrec.evaluation.run import RetrievalRun
from genrec.evaluation.run_files import read_run, write_run
from genrec.evaluation.search_evaluator import SearchEvaluator
from genrec.evaluation.slices import case_slices

if TYPE_CHECKING:
    from genrec.evaluation.callback import RetrievalCallback

__all__ = [
    "Comparison",
    "DialogueCases",
    "EvaluationReport",
    "EvaluationResult",
    "LeakReport",
    "ProbeResult",
    "RetrievalCallback",
    "RetrievalEvaluator",
    "RetrievalRun",
    "SearchEvaluator",
    "SliceResult",
    "altered_held_out",
    "case_slices",
    "check_held_out",
    "check_leaks",
    "check_row_order",
    "compare_folders",
    "compare_runs",
    "permutation_test",
    "read_run",
    "write_run",
]


def __getattr__(name: str) -> Any:
    """Imports the callback when it is first asked for."""
    if name != "RetrievalCallback":
        raise AttributeError(f"module 'genrec.evaluation' has no attribute {name!r}")
    from genrec.evaluation.callback import RetrievalCallback

    return RetrievalCallback
