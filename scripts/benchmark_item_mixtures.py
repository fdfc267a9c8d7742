"""Baselines, trained item models and hybrids of them on one data set: the rows of RESULTS.md.

    python scripts/benchmark_item_mixtures.py --items data/amazon-scientific/items.jsonl.gz \
        --interactions data/amazon-scientific/interactions.csv.gz --inputs outputs/scientific-inputs \
        --jobs outputs/scientific-jobs --generators all-far --others control-all-far sasrec-all-far \
        --output outputs/scientific-rows

`--jobs` holds what `benchmark_item_training.py --save-lists` wrote, one folder a model and seed. Seeds of a
model differ in their Semantic IDs too. Parameters of the baselines, weights and exponents are chosen on the
validation cases; the test cases are opened once, at the end. `--output` gets `rows.jsonl`, a saved run a row
(for `genrec compare`), logs of what was tried, and `table.md`: mean and half the range over seeds, with
p-values of paired permutation tests against `--against`, each user's values averaged over the seeds first. A
row that is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_item_hybrids import averaged, fitted, part_of, with_content
from benchmark_item_lists import MadeOnce, SavedLists, saved
from benchmark_item_table import job_row, slug, table

from genrec.artifacts import atomic_write_text
from genrec.baselines import (
    BM25,
    ContentKNN,
    Part,
    Popularity,
    tune_content_knn,
    tune_item_knn,
    tune_markov_knn,
)
from genrec.data import InteractionLog, ItemTable, Split
from genrec.embeddings import EmbeddingTable
from genrec.evaluation import RetrievalEvaluator, write_run
from genrec.ranking import Ranker

TUNED_ON = 4000  # validation cases
NEIGHBOURS = ("content-knn", "bm25", "item-knn", "markov-knn")
Makers = dict[str, Callable[[], Ranker]]


def baselines(arguments: argparse.Namespace, split: Split, ids: list[str]) -> dict[str, SavedLists]:
    """Each tuned on the validation cases."""
    items, output, train, validation = (
        ItemTable.read(arguments.items),
        arguments.output,
        split.train,
        split.validation,
    )
    vectors = EmbeddingTable.from_files(arguments.inputs / "minilm.npy", arguments.inputs / "item_ids.json")

    def content() -> ContentKNN:
        return tune_content_knn(vectors, validation, ids, train=train, log_file=output / "content-knn.jsonl")

    makers: dict[str, Callable[[], Ranker]] = {
        "popularity": lambda: Popularity(train, ids),
        "item-knn": lambda: tune_item_knn(
            train, validation, ids, max_cases=TUNED_ON, log_file=output / "item-knn.jsonl"
        ),
        "markov-knn": lambda: tune_markov_knn(
            train, validation, ids, max_cases=TUNED_ON, log_file=output / "markov.jsonl"
        ),
        "content-knn": content,
        "bm25": lambda: BM25(items, ids, fields=arguments.fields),
    }
    chosen = {name: make for name, make in makers.items() if name not in arguments.without}
    return {name: saved(name, make, split, ids, output) for name, make in chosen.items()}


def models(arguments: argparse.Namespace, split: Split, ids: list[str]) -> dict[str, dict[int, SavedLists]]:
    """The trained models' lists, name -> seed -> lists."""
    found: dict[str, dict[int, SavedLists]] = {}
    for name in (*arguments.generators, *arguments.others):
        for seed in arguments.seeds:
            path = arguments.jobs / f"{name}-{seed}" / "lists.npz"
            if path.exists():
                found.setdefault(name, {})[seed] = SavedLists(
                    f"{name} {seed}", split, ids, dict(np.load(path))
                )
    return found


def rows_of(arguments: argparse.Namespace, split: Split, ids: list[str]) -> Makers:
    """Name -> ranker, made when it is wanted; rows of one model's seeds differ in the number alone."""
    known, trained = baselines(arguments, split, ids), models(arguments, split, ids)
    neighbours = [Part(known[name], 1.0, "share") for name in NEIGHBOURS if name in known]

    def mixture(models: Sequence[Ranker], name: str) -> Callable[[], Ranker]:
        return partial(fitted, [*map(part_of, models), *neighbours], split, arguments.output, name)

    rows: Makers = {name: partial(averaged, [ranker], name) for name, ranker in known.items()}
    rows["neighbours"] = mixture([], "neighbours")
    for name, seeds in trained.items():
        rows |= {f"{name} {seed}": partial(averaged, [ranker], name) for seed, ranker in seeds.items()}
        for count in range(2, len(seeds) + 1):
            title = f"{name}, {count} averaged"
            rows[title] = partial(averaged, list(seeds.values())[:count], title)
    for name in arguments.generators:
        for seed, generator in trained.get(name, {}).items():
            title = f"{name} {seed} + content"
            content = (generator, known["content-knn"], split, arguments.output, title)
            rows[title] = partial(with_content, *content)
            title = f"{name} {seed} + neighbours"
            rows[title] = mixture([generator], title)
    whole = {name: list(seeds.values()) for name, seeds in trained.items()}
    for name in arguments.generators:
        count = len(whole.get(name, []))
        if count > 1:
            title = f"{name}, {count} averaged, + neighbours"
            rows[title] = mixture([averaged(whole[name], name)], title)
            for other in arguments.others:
                if other in whole:
                    title = f"{name} and {other}, each averaged, + neighbours"
                    rows[title] = mixture([averaged(whole[each], each) for each in (name, other)], title)
    every = [averaged(rankers, name) for name, rankers in whole.items()]
    title = f"{', '.join(whole)}: each averaged, + neighbours"
    rows[title] = mixture(every, title)
    return rows


def evaluated(ranker: Ranker, name: str, split: Split, ids: list[str], output: Path) -> dict[str, Any]:
    """One row: validation, both rules of masking, intervals and a saved run under the first."""
    row: dict[str, Any] = {"name": name}
    lists = MadeOnce(ranker, name)
    cases = split.validation.sample(TUNED_ON)
    seen = RetrievalEvaluator(cases, item_ids=ids, mask_history=False, bootstrap=0).evaluate(lists)
    row["validation"] = round(seen.metrics["ndcg@10"], 5)
    for masked in (False, True):
        evaluator = RetrievalEvaluator(
            split.test, item_ids=ids, mask_history=masked, bootstrap=0 if masked else 1000
        )
        result = evaluator.evaluate(lists)
        row["masked" if masked else "unmasked"] = {k: round(v, 5) for k, v in result.metrics.items()}
        if not masked:
            row["intervals"] = {k: [round(x, 5) for x in v] for k, v in result.intervals.items()}
            write_run(result, output / "runs" / slug(name))
    return row


def main() -> None:
    """Evaluates all rows on the test cases under both rules of masking."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--jobs", type=Path, required=True)
    parser.add_argument("--generators", nargs="+", required=True)
    parser.add_argument("--others", nargs="*", default=[])
    parser.add_argument(
        "--alone", nargs="*", default=[], help="models that are listed only, from places.npz; all = every one"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fields", nargs="+", default=["title", "brand", "categories", "description"])
    parser.add_argument("--without", nargs="*", default=[], help="baselines left out, such as bm25")
    parser.add_argument("--against", default="sasrec", help="model that the others are tested against")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO)
    arguments.output.mkdir(parents=True, exist_ok=True)
    ids = json.loads((arguments.inputs / "item_ids.json").read_text(encoding="utf-8"))
    split, began = (
        InteractionLog.read(arguments.interactions, time="order").leave_one_out(),
        time.perf_counter(),
    )
    makers = rows_of(arguments, split, ids)
    file = arguments.output / "rows.jsonl"
    rows = list(map(json.loads, file.read_text(encoding="utf-8").splitlines())) if file.exists() else []
    known = {row["name"] for row in rows}
    for name, make in makers.items():
        if name not in known:
            rows.append(evaluated(make(), name, split, ids, arguments.output))
            atomic_write_text(file, "".join(json.dumps(row) + "\n" for row in rows))
            print(f"{name:60} {rows[-1]['unmasked']}", flush=True)
    known = {row["name"] for row in rows}
    named = {*arguments.generators, *arguments.others, *arguments.alone}
    folders = sorted(file.parent for file in arguments.jobs.glob("*/places.npz"))
    for folder in folders:
        name, _, seed = folder.name.rpartition("-")
        if ("all" in arguments.alone or name in named) and f"{name} {seed}" not in known:
            rows.append(job_row(folder))
    found = table(arguments, rows)
    atomic_write_text(arguments.output / "table.md", found)
    print(f"\n{found}\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
