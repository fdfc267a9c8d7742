"""Prints the table of `ablation_tasks.py`: every mixture over its seeds, and what it gains over seqrec alone.

python scripts/ablation_tasks_table.py outputs/ablation

Values are means over test cases and seeds; the gain is paired by test case and seed; in
brackets are 95 % bootstrap intervals over test cases. Does not know models.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from ablation_tasks_job import MIXTURES

from genrec.evaluation.bootstrap import bootstrap_intervals

ALONE = "seqrec"


def read(folder: Path) -> dict[str, dict[str, dict[int, dict[str, object]]]]:
    """Regime -> mixture -> seed -> what its job wrote."""
    found: dict[str, dict[str, dict[int, dict[str, object]]]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.glob("*.json")):
        job = json.loads(path.read_text(encoding="utf-8"))
        found[job["regime"]][job["mixture"]][job["seed"]] = job
    return found


def table(regime: str, mixtures: dict[str, dict[int, dict[str, object]]], resamples: int = 2000) -> str:
    """The rows of one regime; a gain is shown over the seeds that both sides have."""
    lines = [
        f"| {regime} | Recall@10 | NDCG@10 | by seed | gain in NDCG@10 | steps |",
        "|---|---|---|---|---|---|",
    ]
    alone = mixtures.get(ALONE, {})
    for mixture in (name for name in MIXTURES if name in mixtures):
        seeds = mixtures[mixture]
        ndcg = {seed: np.array(job["ndcg@10 of each case"]) for seed, job in seeds.items()}  # [cases] each
        values = {"ndcg": np.mean(list(ndcg.values()), axis=0)}
        values["recall"] = np.mean([one > 0 for one in ndcg.values()], axis=0)  # one target a case
        both = sorted(ndcg.keys() & alone.keys()) if mixture != ALONE else []
        if both:
            gains = [ndcg[seed] - np.array(alone[seed]["ndcg@10 of each case"]) for seed in both]
            values["gain"] = np.mean(gains, axis=0)
        ends = bootstrap_intervals(values, resamples=resamples, seed=0)
        cells = [shown(values[name], ends[name]) for name in ("recall", "ndcg")]
        by_seed = ", ".join(number(float(one.mean())) for _, one in sorted(ndcg.items()))
        gain = shown(values["gain"], ends["gain"], signed=True) if both else ""
        steps = " or ".join(str(n) for n in sorted({job["steps"] for job in seeds.values()}))
        lines.append(f"| {mixture} | {' | '.join(cells)} | {by_seed} | {gain} | {steps} |")
    return "\n".join(lines) + "\n"


def shown(values: np.ndarray, ends: tuple[float, float], *, signed: bool = False) -> str:
    """A mean with its interval."""
    return f"{number(float(values.mean()), signed)} [{number(ends[0], signed)}, {number(ends[1], signed)}]"


def number(value: float, signed: bool = False) -> str:
    """Four digits without the zero before the point."""
    return (f"{value:+.4f}" if signed else f"{value:.4f}").replace("0.", ".", 1)


def main() -> None:
    """Reads the folder and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    found = read(given.folder)
    sys.stdout.write("\n".join(table(regime, found[regime]) for regime in sorted(found)))


if __name__ == "__main__":
    main()
