"""Every ID set of a folder through the same diagnostics, beside what one fixed generator made of it.

    python scripts/benchmark_id_sets.py outputs/id-sets --items items.jsonl.gz \
        --interactions interactions.csv.gz --results outputs/id-set-jobs \
        [--without-categories FOLDER] [--json FILE]

Sets are the files `NAME-s0.index.json.gz` that `prepare_id_sets.py` writes (with `facts.json`), results the
folders `NAME-gSEED` of `benchmark_item_training.py` (`result.json`, `places.npz`). `--without-categories`
names a folder of sets `NAME-nocat-s0` whose encoded texts had no categories: the agreement with categories is
read from them. Of the results: mean and standard deviation over the seeds, and a paired permutation test of
the best set that is not a published one against every published one; a user's value is the mean over the
seeds. Hits are counted per item, the history is not masked. `--quick` takes the first three sets.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from genrec import InteractionLog, ItemTable, SemanticIdSpec
from genrec.data import co_occurrence
from genrec.evaluation.permutation import permutation_test
from genrec.semantic_ids import diagnose, read_index
from genrec.semantic_ids.agreement import (
    category_agreement,
    category_levels,
    neighbour_agreement,
    neighbour_pairs,
    prefix_groups,
)


def options() -> argparse.Namespace:
    """Arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--results", type=Path, nargs="*", default=[])
    parser.add_argument("--without-categories", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def name_of(path: Path) -> str:
    """Set of a file."""
    return path.name.removesuffix(".gz").removesuffix(".index.json").removesuffix("-s0")


class Yardstick:
    """Categories and neighbours of the items, made once."""

    def __init__(self, items: ItemTable, log: InteractionLog) -> None:
        self.ids = items.canonical_ids
        by_id = dict(zip(items.item_ids, items.table.column("categories").to_pylist(), strict=True))
        self.levels = category_levels([by_id[item] for item in self.ids])
        self.pairs = neighbour_pairs(co_occurrence(log.leave_one_out().train, self.ids))

    def best_ami(self, path: Path) -> float:
        """Highest agreement of a prefix with a category level."""
        codes = self.codes(path)[0]
        table = category_agreement(prefix_groups(codes), self.levels)
        return max((value for row in table for value in row if value is not None), default=float("nan"))

    def codes(self, path: Path) -> tuple[np.ndarray, SemanticIdSpec]:
        """Codes in the items' order, and their shape."""
        item_ids, codes, spec = read_index(path)
        row_of = {item: row for row, item in enumerate(item_ids)}
        return codes[[row_of[item] for item in self.ids]], spec

    def measure(self, path: Path) -> dict[str, Any]:
        """Figures of one set."""
        codes, spec = self.codes(path)
        groups = prefix_groups(codes)
        used = diagnose(codes, spec.codebook_sizes, terminated=spec.terminated)
        near, far, auc = neighbour_agreement(codes, groups, self.pairs)
        return {
            "length": spec.length,
            "shared": used.shared_after,
            "largest_group": used.largest_group_after,
            "codes_used": list(used.codes_used),
            "perplexity": [round(value, 1) for value in used.perplexity],
            "gini": [round(value, 3) for value in used.gini],
            "neighbour_share": near,
            "chance_share": far,
            "neighbour_auc": auc,
        }


class Results:
    """What one set's trainings came to.

    Attributes:
        values: float `[seeds, 2]`, Recall@10 and NDCG@10.
        users: float `[users, 2]`, the same of each user, mean over the seeds.
        steps: Optimiser steps of each seed.
    """

    def __init__(self, name: str, folders: list[Path]) -> None:
        seeds, self.steps = [], []
        for path in sorted(path for folder in folders for path in folder.glob(f"{name}-g*/places.npz")):
            with np.load(path, allow_pickle=False) as saved:
                place = saved["test_unmasked"].astype(np.int64)  # from 0, -1 = nowhere
            hit = (place >= 0) & (place < 10)
            seeds.append(np.stack([hit, hit / np.log2(2.0 + np.maximum(place, 0))], axis=1))
            facts = json.loads((path.parent / "result.json").read_text(encoding="utf-8"))
            self.steps.append(facts["last_step"])
        self.values = np.array([seed.mean(axis=0) for seed in seeds]).reshape(-1, 2)
        self.users = np.mean(seeds, axis=0) if seeds else np.empty((0, 2))

    def cells(self) -> list[str]:
        """Mean ± standard deviation of each metric, seeds, steps."""
        found = []
        for column in self.values.T:
            spread = f" ± {statistics.stdev(column):.4f}" if len(column) > 1 else ""
            found.append(f"{column.mean():.4f}{spread}")
        steps = sorted(set(self.steps))
        return [*found, str(len(self.steps)), str(steps[0]) if len(steps) == 1 else f"{steps[0]}-{steps[-1]}"]


def print_results(results: dict[str, Results]) -> list[dict[str, Any]]:
    """The table, best set first, with the paired tests; returns its rows."""
    ran = {name: one for name, one in results.items() if one.steps}
    ordered = sorted(ran, key=lambda name: -ran[name].values[:, 0].mean())
    own = next((name for name in ordered if not name.startswith("published")), None)
    print(
        "\n| IDs | Recall@10 | NDCG@10 | seeds | steps | p, Recall | p, NDCG |\n|---|---|---|---|---|---|---|"
    )
    rows = []
    for name in ordered:
        tested = own is not None and name.startswith("published")
        p = permutation_test(ran[own].users - ran[name].users).tolist() if tested and own else []
        shown = [f"{value:.4f}" for value in p] or ["", ""]
        print(f"| {name} | {' | '.join([*ran[name].cells(), *shown])} |")
        values = ran[name].values.tolist()
        rows.append({"name": name, "values": values, "steps": ran[name].steps, "p": p, "against": own})
    print(f"\np: two-sided paired permutation test of {own} against the set.")
    return rows


def main() -> None:
    """Prints the tables."""
    arguments = options()
    items = ItemTable.read(arguments.items)
    yardstick = Yardstick(items, InteractionLog.read(arguments.interactions, items=items))
    ledger = arguments.sets / "facts.json"
    facts = json.loads(ledger.read_text(encoding="utf-8")) if ledger.is_file() else {}
    rows, results = [], {}
    for path in sorted(arguments.sets.glob("*-s0.index.json*"))[: 3 if arguments.quick else None]:
        name = name_of(path)
        row = {"name": name} | yardstick.measure(path) | facts.get(f"{name}-s0", {})
        bare = (arguments.without_categories or Path()) / f"{name}-nocat-s0.index.json.gz"
        row["ami"] = yardstick.best_ami(bare if bare.is_file() else path)
        row["ami_without_categories"] = bare.is_file()
        results[name] = Results(name, arguments.results)
        rows.append(row)
    print(
        "| IDs | native: share an ID | largest group | codes used | AMI | neighbours' AUC | fit, s |\n"
        "|---|---|---|---|---|---|---|"
    )
    for row in rows:
        native = row.get("native_shared", row["shared"])
        group = row.get("native_largest_group", row["largest_group"])
        fit = f"{row['fit_seconds']:.1f}" if "fit_seconds" in row else ""
        mark = "" if row["ami_without_categories"] else " \\*"
        used = "/".join(map(str, row["codes_used"]))
        print(
            f"| {row['name']} | {native:.1%} | {group} | {used} | {row['ami']:.2f}{mark} "
            f"| {row['neighbour_auc']:.3f} | {fit} |"
        )
    verdict = print_results(results) if any(one.steps for one in results.values()) else []
    if arguments.json:
        arguments.json.write_text(json.dumps({"sets": rows, "results": verdict}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
