"""Hybrids of `benchmark_item_mixtures.py`: averages and mixtures, their weights from the validation cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark_item_lists import DEPTH
from benchmark_item_table import slug

from genrec.baselines import LogLinearMixture, Part, ProbabilityMixture, fit_log_linear, tune_mixture
from genrec.data import Split
from genrec.ranking import Ranker


def averaged(rankers: Sequence[Ranker], name: str) -> Ranker:
    """The mean of the models' probabilities; one model as it is."""
    if len(rankers) == 1:
        return rankers[0]
    return ProbabilityMixture([Part(ranker, 1 / len(rankers)) for ranker in rankers], depth=DEPTH, name=name)


def part_of(ranker: Ranker) -> Part:
    """A model as a part of a mixture: its scores are logarithms, those of an average are probabilities."""
    return Part(ranker, 1.0, "score" if isinstance(ranker, ProbabilityMixture) else "log")


def fitted(parts: Sequence[Part], split: Split, output: Path, name: str) -> LogLinearMixture:
    """A log-linear mixture with the validation targets' likeliest exponents."""
    log = output / f"log-linear-{slug(name)}.jsonl"
    return fit_log_linear(parts, split.validation, depth=DEPTH, max_cases=6000, log_file=log, name=name)


def with_content(generator: Ranker, content: Ranker, split: Split, output: Path, name: str) -> Ranker:
    """Content-kNN's shares added to the generator's probabilities, their weight from validation."""
    weights, log = (0.25, 0.5, 1.0, 2.0, 4.0), output / f"mixture-{slug(name)}.jsonl"
    return tune_mixture(
        [Part(generator)],
        content,
        split.validation,
        weights=weights,
        scales=("share",),
        depth=DEPTH,
        max_cases=4000,
        log_file=log,
        name=name,
    )
