"""Tokens and time to 95 % of the best validation NDCG@10: packed rows against a row per prefix through trl.

`packed, full softmax` differs from the baseline by the packing alone. Does not know how a run trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark_training_meter import Meter
from benchmark_training_results import Result
from benchmark_training_runs import Contest

from genrec.recipe import Recipe

SHARE = 0.95  # of the best of the runs that are compared
GOALS = {"amazon-scientific": 3.0, "amazon-beauty": 5.0}
RUNS = ("packed", "packed-full", "prefix")  # their names where they are kept
PACKED, PACKED_FULL, PREFIX = "packed", "packed, full softmax", "row per prefix, trl"


def measure(
    recipe: str,
    overrides: Sequence[str],
    seeds: Sequence[int],
    *,
    every_steps: int,
    budget: float,
    full_softmax: bool,
    minutes: float = float("inf"),
    kept: Path | None = None,
    alone: str | None = None,
    most_tokens: float | None = None,
) -> list[Result]:
    """All runs of all seeds.

    Args:
        recipe: Name or path of a recipe.
        overrides: Of the recipe.
        seeds: One contest each.
        every_steps: Optimiser steps between validations.
        budget: What the baseline may spend: so many times the tokens that the packed run took to 95 % of its
            best.
        full_softmax: Whether packed rows are trained with the plain cross-entropy as well.
        minutes: Hard limit of each run.
        kept: Folder in which finished runs lie and are found again.
        alone: Only this one of `RUNS`, which is kept and compared later.
        most_tokens: What every run may spend, in place of `budget`.
    """
    results = []
    for seed in seeds:
        contest = Contest(Recipe.load(recipe, [*overrides, f"seed={seed}"]), every_steps, 60 * minutes, kept)
        if alone is None:
            results += _held(contest, budget, full_softmax, most_tokens)
        else:
            _run(contest, alone, float("inf") if most_tokens is None else most_tokens)
    return results


def _run(contest: Contest, name: str, most: float) -> Meter:
    """One of `RUNS`, which may spend so many tokens; one that is kept is read."""
    if name == "prefix":
        return contest.once(name, lambda: contest.row_per_prefix(most))
    return contest.once(name, lambda: contest.packed("full" if name == "packed-full" else "allowed", most))


def _held(contest: Contest, budget: float, full_softmax: bool, most: float | None) -> list[Result]:
    """One contest: its runs one after the other, compared."""
    ours = _run(contest, "packed", float("inf") if most is None else most)
    runs = {PACKED: ours}
    if most is None:
        most = budget * float(ours.reached(SHARE * ours.best)[0][0])
    if full_softmax:
        runs[PACKED_FULL] = _run(contest, "packed-full", most)
    runs[PREFIX] = _run(contest, "prefix", most)
    name = f"{contest.recipe.name}, seed {contest.recipe.seed}"
    return compared(name, runs, GOALS.get(contest.recipe.name))


def compared(name: str, runs: dict[str, Meter], goal: float | None) -> list[Result]:
    """What each run took to 95 % of the best of all values, and of the worst run's best, and the ratios.

    The goal is one of the first: the second is there for a run that never comes near the best.
    """
    bests = [run.best for run in runs.values()]
    results = [
        Result(f"{name}: best validation NDCG@10, {run_name}", run.best, "", note=f"{run.tokens:,} tokens")
        for run_name, run in runs.items()
    ]
    results += _to(f"{name}, 95 % of the better run's best", runs, SHARE * max(bests), goal)
    return results + _to(f"{name}, 95 % of the worse run's best", runs, SHARE * min(bests), None)


def _to(name: str, runs: dict[str, Meter], wanted: float, goal: float | None) -> list[Result]:
    """What each run took to a value, and the ratios to the packed one."""
    results = []
    ours, reached = runs[PACKED].reached(wanted)
    for number, unit in enumerate(("tokens", "s", "s of processor")):
        results.append(Result(f"{name}: {unit} to {wanted:.4f}, {PACKED}", ours[number], unit))
        for run_name, run in runs.items():
            if run_name == PACKED:
                continue
            theirs, there = run.reached(wanted)
            note = "" if there else "at least: it had not got there when it stopped"
            note += "" if reached else "; packed rows had not got there either"
            results.append(
                Result(f"{name}: {unit} to {wanted:.4f}, {run_name}", theirs[number], unit, note=note)
            )
            ratio = float(theirs[number] / ours[number])
            at_least = goal if run_name == PREFIX and unit != "s of processor" else None
            results.append(
                Result(f"{name}: {unit}, {run_name} / {PACKED}", ratio, "x", at_least=at_least, note=note)
            )
    return results
