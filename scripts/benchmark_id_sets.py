"""Every ID set of a folder through the same diagnostics, beside what one fixed generator made of it.

    python scripts/benchmark_id_sets.py outputs/id-sets --items items.jsonl.gz \
        --interactions interactions.csv.gz --results outputs/id-set-jobs \
        [--without-categories FOLDER] [--json FILE]

Sets are the files `NAME-s0.index.json.gz` that `prepare_id_sets.py` writes (with `facts.json`), results the
`NAME-gSEED/result.json` of `benchmark_item_training.py`. `--without-categories` names a folder of sets
`NAME-nocat-s0` whose encoded texts had no categories: the agreement with categories is read from them.
`--quick` takes the first three sets.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from genrec import InteractionLog, ItemTable
from genrec.data import co_occurrence
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
    parser.add_argument("--metric", default="recall@10")
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

    def codes(self, path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
        """Codes in the items' order, and the sizes of the positions."""
        item_ids, codes, spec = read_index(path)
        row_of = {item: row for row, item in enumerate(item_ids)}
        return codes[[row_of[item] for item in self.ids]], spec.codebook_sizes

    def measure(self, path: Path) -> dict[str, Any]:
        """Figures of one set."""
        codes, sizes = self.codes(path)
        groups = prefix_groups(codes)
        used = diagnose(codes, sizes)
        near, far, auc = neighbour_agreement(codes, groups, self.pairs)
        return {
            "length": len(sizes),
            "shared": used.shared_after,
            "largest_group": used.largest_group_after,
            "codes_used": list(used.codes_used),
            "perplexity": [round(value, 1) for value in used.perplexity],
            "gini": [round(value, 3) for value in used.gini],
            "neighbour_share": near,
            "chance_share": far,
            "neighbour_auc": auc,
        }


def results_of(name: str, folders: list[Path], metric: str) -> list[float]:
    """The metric of every seed that was run, hits counted per item, history not masked."""
    found = []
    for folder in folders:
        for path in sorted(folder.glob(f"{name}-g*/result.json")):
            found.append(json.loads(path.read_text(encoding="utf-8"))["test_unmasked"][metric])
    return found


def main() -> None:
    """Prints the table, best set first."""
    arguments = options()
    items = ItemTable.read(arguments.items)
    yardstick = Yardstick(items, InteractionLog.read(arguments.interactions, items=items))
    ledger = arguments.sets / "facts.json"
    facts = json.loads(ledger.read_text(encoding="utf-8")) if ledger.is_file() else {}
    rows = []
    for path in sorted(arguments.sets.glob("*-s0.index.json*"))[: 3 if arguments.quick else None]:
        name = name_of(path)
        row = {"name": name} | yardstick.measure(path) | facts.get(f"{name}-s0", {})
        bare = (arguments.without_categories or Path()) / f"{name}-nocat-s0.index.json.gz"
        row["ami"] = yardstick.best_ami(bare if bare.is_file() else path)
        row["ami_without_categories"] = bare.is_file()
        row["results"] = results_of(name, arguments.results, arguments.metric)
        rows.append(row)
    rows.sort(key=lambda row: -statistics.mean(row["results"] or [0]))
    print(
        "| IDs | native: share an ID | largest group | codes used | AMI | neighbours' AUC | fit, s | "
        f"{arguments.metric} |\n|---|---|---|---|---|---|---|---|"
    )
    for row in rows:
        native = row.get("native_shared", row["shared"])
        group = row.get("native_largest_group", row["largest_group"])
        fit = f"{row['fit_seconds']:.1f}" if "fit_seconds" in row else ""
        mark = "" if row["ami_without_categories"] else " \\*"
        mean = f"{statistics.mean(row['results']):.4f}" if row["results"] else ""
        spread = f" ± {statistics.stdev(row['results']):.4f}" if len(row["results"]) > 1 else ""
        runs = f" ({len(row['results'])})" if row["results"] else ""
        used = "/".join(map(str, row["codes_used"]))
        print(
            f"| {row['name']} | {native:.1%} | {group} | {used} | {row['ami']:.2f}{mark} "
            f"| {row['neighbour_auc']:.3f} | {fit} | {mean}{spread}{runs} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
