"""One function per stage: a recipe in, an artefact on disk out.

Does not know argument parsing or printing.
"""

from genrec.pipeline.alignment import align
from genrec.pipeline.estimate import Estimate, check
from genrec.pipeline.evaluation import evaluate, example_history
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.inspection import inspect_target
from genrec.pipeline.preference import prefer
from genrec.pipeline.preview import Preview, preview
from genrec.pipeline.semantic_ids import build_ids
from genrec.pipeline.stage import StageResult
from genrec.pipeline.texts import estimate_texts, write_texts

__all__ = [
    "Estimate",
    "Inputs",
    "Preview",
    "StageResult",
    "align",
    "build_ids",
    "check",
    "estimate_texts",
    "evaluate",
    "example_history",
    "inspect_target",
    "load_inputs",
    "prefer",
    "preview",
    "write_texts",
]
