"""`Comparison`: several saved runs on the same cases, with intervals, and p-values against the first.

Does not know files, rankers or how a comparison is shown.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.errors import DataError
from genrec.evaluation.permutation import permutation_test
from genrec.evaluation.result import EvaluationResult
from genrec.evaluation.run import RetrievalRun

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        results: The numbers of each run, at the cut-offs all of them have; names are distinct.
        p_values: For each run metric -> two-sided p-value of its difference from the first run; empty for the
            first.
        facts: The facts of each run, by name.
        resamples: Of the intervals.
        permutations: Of the tests.
        seed: Of both.
    """

    results: tuple[EvaluationResult, ...]
    p_values: tuple[Mapping[str, float], ...]
    facts: Mapping[str, Mapping[str, object]]
    resamples: int
    permutations: int
    seed: int

    @property
    def runs(self) -> list[RetrievalRun]:
        """The runs, in the order of the results."""
        return [result.run for result in self.results if result.run is not None]

    @property
    def title(self) -> str:
        """What all rows have in common: cases, catalog and the rule of masking."""
        run = self.runs[0]
        return f"{len(run):,} cases, full catalog of {run.num_items:,} items, hits per item; {run.masking}"

    def main_metric(self) -> str:
        """NDCG at the largest cut-off."""
        return f"ndcg@{max(self.runs[0].ks)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        rows = [
            {**result.to_dict(), "p_values": dict(p_values), "facts": dict(self.facts[result.name])}
            for result, p_values in zip(self.results, self.p_values, strict=True)
        ]
        run = self.runs[0]
        return {
            "cases": run.cases,
            "catalog": run.catalog,
            "masking": run.masking,
            "against": self.results[0].name,
            "resamples": self.resamples,
            "permutations": self.permutations,
            "seed": self.seed,
            "runs": rows,
        }


def compare_runs(
    runs: Sequence[RetrievalRun],
    *,
    resamples: int = 1000,
    permutations: int = 10_000,
    seed: int | None = None,
) -> Comparison:
    """Compares runs, each with the first, case by case.

    Slices are shown where all runs have them with the same cases (those of runs with other training logs may
    differ); the others are named in the log.

    Args:
        runs: At least one; two of one name are told apart by their facts.
        resamples: Of the 95 % intervals; 0 = none.
        permutations: Of the paired permutation tests.
        seed: Of both; None = the seed in the facts of the first run, so that its intervals are the report's.

    Raises:
        DataError: No run, or runs on different cases, over different catalogs, under different rules of
            masking, or without a common cut-off.
    """
    if not runs:
        raise DataError("there is no run to compare", remedy="name one or more run folders")
    for run in runs[1:]:
        _check_comparable(runs[0], run)
    ks = tuple(k for k in runs[0].ks if all(k in run.ks for run in runs))
    if not ks:
        raise DataError(
            "the runs have no cut-off in common",
            received="; ".join(f"{run.name!r}: {run.ks}" for run in runs),
            remedy="evaluate them with the same evaluate.ks",
        )
    if seed is None:
        known = runs[0].facts.get("seed", 0)
        seed = known if isinstance(known, int) else 0
    slices = _common_slices(runs)
    cut = [
        dataclasses.replace(
            run,
            name=name,
            ks=ks,
            lists=run.lists[:, : max(ks)],
            slices={name: run.slices[name] for name in slices},
        )
        for name, run in zip(_names(runs), runs, strict=True)
    ]
    results = tuple(run.result(bootstrap=resamples, seed=seed) for run in cut)
    first = _in_case_order(cut[0])
    users = _users_in_case_order(cut[0])
    p_values: list[dict[str, float]] = [{}]
    for run in cut[1:]:
        differences = _in_case_order(run) - first  # [cases, metrics]
        found = permutation_test(differences, permutations=permutations, seed=seed, users=users)
        p_values.append(dict(zip(results[0].metrics, found.tolist(), strict=True)))
    facts = {run.name: run.facts for run in cut}
    return Comparison(results, tuple(p_values), facts, resamples, permutations, seed)


def _check_comparable(first: RetrievalRun, other: RetrievalRun) -> None:
    reasons = {
        "cases": (first.cases[:12], other.cases[:12], "evaluate both on the same split of the same data"),
        "masking": (first.masking, other.masking, "evaluate both with the same evaluate.mask_history"),
        "catalog": (
            f"{first.num_items} items, {first.catalog[:12]}",
            f"{other.num_items} items, {other.catalog[:12]}",
            "evaluate both over the same items",
        ),
    }
    for what, (ours, theirs, remedy) in reasons.items():
        if getattr(first, what) != getattr(other, what):
            raise DataError(
                f"{other.name!r} and {first.name!r} cannot be compared: their {what} differ",
                received=f"{theirs} and {ours}",
                remedy=remedy,
            )


def _common_slices(runs: Sequence[RetrievalRun]) -> list[str]:
    """Names of the slices that all runs have, of the same cases, in the order of the first run."""
    orders = [_case_order(run) for run in runs]
    common = []
    for name, mask in runs[0].slices.items():
        told = mask[orders[0]]  # [cases]
        if all(
            name in run.slices and np.array_equal(run.slices[name][order], told)
            for run, order in zip(runs[1:], orders[1:], strict=True)
        ):
            common.append(name)
    left_out = sorted({name for run in runs for name in run.slices} - set(common))
    if left_out:
        logger.warning(
            "slices that not all runs have, or that hold other cases, are left out: %s", ", ".join(left_out)
        )
    return common


def _in_case_order(run: RetrievalRun) -> np.ndarray:
    """Values in the order of the case ids, float64 `[cases, metrics]`."""
    return np.stack(list(run.values().values()), axis=1)[_case_order(run)]


def _users_in_case_order(run: RetrievalRun) -> np.ndarray | None:
    users = run.users()
    return None if users is None else users[_case_order(run)]


def _case_order(run: RetrievalRun) -> list[int]:
    return sorted(range(len(run)), key=run.case_ids.__getitem__)


def _names(runs: Sequence[RetrievalRun]) -> list[str]:
    """Distinct names: where two are alike, with recipe and seed, and numbered where those are alike too."""
    names = [run.name for run in runs]
    again = Counter(names)
    names = [
        f"{name} ({run.facts.get('recipe', '?')}, seed {run.facts.get('seed', '?')})"
        if again[name] > 1
        else name
        for name, run in zip(names, runs, strict=True)
    ]
    again, met = Counter(names), Counter[str]()
    for i, name in enumerate(names):
        met[name] += 1
        names[i] = f"{name} #{met[name]}" if again[name] > 1 else name
    return names
