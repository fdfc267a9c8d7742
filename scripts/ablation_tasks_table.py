"""Prints the table of `ablation_tasks.py`: every mixture over its seeds, and what it gains over seqrec alone.

python scripts/ablation_tasks_table.py outputs/ablation

Values are means over test cases and seeds; the gain is paired by test case and seed. In brackets are 95 %
bootstrap intervals, over test cases for the values, over test cases and seeds for the gain. Does not know
models.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from ablation_tasks_intervals import number, over_cases_and_seeds, shown
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
        f"| {regime} | Recall@10 | NDCG@10 | by seed | gain in NDCG@10 | by seed | steps |",
        "|---|---|---|---|---|---|---|",
    ]
    alone = mixtures.get(ALONE, {})
    for mixture in (name for name in MIXTURES if name in mixtures):
        seeds = sorted(mixtures[mixture].items())
        ndcg = {seed: np.array(job["ndcg@10 of each case"]) for seed, job in seeds}  # [cases] each
        values = {"ndcg": np.mean(list(ndcg.values()), axis=0)}
        values["recall"] = np.mean([one > 0 for one in ndcg.values()], axis=0)  # one target a case
        ends = bootstrap_intervals(values, resamples=resamples, seed=0)
        cells = [shown(values[name].mean(), ends[name]) for name in ("recall", "ndcg")]
        cells += [", ".join(number(float(one.mean())) for one in ndcg.values()), "", ""]
        both = [] if mixture == ALONE else [seed for seed in ndcg if seed in alone]
        if both:
            gains = np.stack([ndcg[seed] - alone[seed]["ndcg@10 of each case"] for seed in both])
            cells[3] = shown(gains.mean(), over_cases_and_seeds(gains, resamples), signed=True)
            cells[4] = ", ".join(number(one, signed=True) for one in gains.mean(axis=1))
        steps = " or ".join(str(n) for n in sorted({job["steps"] for _, job in seeds}))
        lines.append(f"| {mixture} | {' | '.join(cells)} | {steps} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Reads the folder and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    found = read(given.folder)
    sys.stdout.write("\n".join(table(regime, found[regime]) for regime in sorted(found)))


if __name__ == "__main__":
    main()
