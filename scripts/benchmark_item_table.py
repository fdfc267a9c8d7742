"""The table of `benchmark_item_mixtures.py`: seeds of a model together, paired tests against another."""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec.evaluation import permutation_test, read_run
from genrec.evaluation.bootstrap import bootstrap_intervals

METRICS = ("recall@10", "ndcg@10")


def slug(name: str) -> str:
    """A name as a file's."""
    return re.sub(r"[^\w.+-]+", "-", name)


def job_row(folder: Path) -> dict[str, Any]:
    """The row of a training whose lists were not kept."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    row = {rule: result[f"test_{rule}"] for rule in ("unmasked", "masked")}
    columns = dict(zip(METRICS, job_values(folder).T, strict=True))
    found = {
        k: [round(x, 5) for x in v] for k, v in bootstrap_intervals(columns, resamples=1000, seed=0).items()
    }
    name = " ".join(folder.name.rsplit("-", 1))
    return {"name": name, **row, "intervals": found, "job": folder.name}


def job_values(folder: Path) -> np.ndarray:
    """Recall@10 and NDCG@10 of each test case, float64 `[cases, 2]`, from a training's `places.npz`."""
    place = np.load(folder / "places.npz")["test_unmasked"].astype(np.int64)
    hit = (place >= 0) & (place < 10)
    return np.stack([hit, hit / np.log2(2 + np.maximum(place, 0))], axis=1).astype(np.float64)


def table(arguments: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> str:
    """Rows of one model's seeds together, with p-values against the model of `--against`."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[re.sub(r"^(\S+) \d+(?= \+|$)", r"\1", row["name"])].append(row)

    def values(group: Sequence[dict[str, Any]]) -> np.ndarray:
        found = []
        for row in group:
            if "job" in row:
                found.append(job_values(arguments.jobs / row["job"]))
            else:
                known = read_run(arguments.output / "runs" / slug(row["name"])).values()
                found.append(np.stack([known[metric] for metric in METRICS], axis=1))
        return np.asarray(np.mean(found, axis=0))  # [cases, 2], cases in the order of the split

    def validation(group: Sequence[dict[str, Any]]) -> list[float]:
        files = [arguments.jobs / row["name"].replace(" ", "-") / "result.json" for row in group]
        found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]
        trained = [row["validation_unmasked"]["ndcg@10"] for row in found if "validation_unmasked" in row]
        return trained or [row["validation"] for row in group if "validation" in row]

    lines = ["| ranker | seeds | val. N@10 | R@10 | N@10 | R@10 masked | N@10 masked | p R@10 | p N@10 |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    other = values(groups[arguments.against]) if arguments.against in groups else None
    for name, group in groups.items():
        cells = [name, str(len(group)), spread(validation(group))]
        for rule in ("unmasked", "masked"):
            for metric in METRICS:
                cell = spread([row[rule][metric] for row in group])
                if len(group) == 1 and rule == "unmasked":
                    low, high = group[0]["intervals"][metric]
                    cell += f" [{low:.4f}, {high:.4f}]"
                cells.append(cell)
        p_values = ["", ""]
        if other is not None and name != arguments.against:
            p_values = [f"{p:.4f}" for p in permutation_test(values(group) - other)]
        lines.append(f"| {' | '.join([*cells, *p_values])} |")
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float]) -> str:
    """Mean and half the distance between the highest and the lowest."""
    if not values:
        return ""
    half = f" ± {(max(values) - min(values)) / 2:.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{half}"
