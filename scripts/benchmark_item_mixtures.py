"""Baselines, trained item models and hybrids of them on one data set: the rows of RESULTS.md.

    python scripts/benchmark_item_mixtures.py --items data/amazon-scientific/items.jsonl.gz \
        --interactions data/amazon-scientific/interactions.csv.gz --inputs outputs/scientific-inputs \
        --jobs outputs/scientific-jobs --generators all-far --others control-all-far sasrec-all-far \
        --output outputs/scientific-rows

`--jobs` holds what `benchmark_item_training.py --save-lists` wrote, one folder a model and seed. Parameters
of the baselines, weights and exponents are chosen on the validation cases; the test cases are opened once, at
the end. `--output` gets `rows.jsonl`, a saved run a row (for `genrec compare`) and logs of what was tried.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from benchmark_item_lists import SavedLists, saved

from genrec.baselines import (
    BM25,
    ContentKNN,
    LogLinearMixture,
    Part,
    Popularity,
    ProbabilityMixture,
    fit_log_linear,
    tune_content_knn,
    tune_item_knn,
    tune_markov_knn,
    tune_mixture,
)
from genrec.data import InteractionLog, ItemTable, Split
from genrec.embeddings import EmbeddingTable
from genrec.evaluation import RetrievalEvaluator, write_run
from genrec.ranking import Ranker

DEPTH = 60  # items of a list that hybrids look at


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
            train, validation, ids, max_cases=4000, log_file=output / "item-knn.jsonl"
        ),
        "markov-knn": lambda: tune_markov_knn(
            train, validation, ids, max_cases=4000, log_file=output / "markov.jsonl"
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


def averaged(rankers: Sequence[Ranker], name: str) -> ProbabilityMixture:
    """The mean of the models' probabilities."""
    return ProbabilityMixture([Part(ranker, 1 / len(rankers)) for ranker in rankers], depth=DEPTH, name=name)


def rows_of(arguments: argparse.Namespace, split: Split, ids: list[str]) -> list[Ranker]:
    """All rankers of the table."""
    known, trained = baselines(arguments, split, ids), models(arguments, split, ids)
    rows: list[Ranker] = [*known.values()]
    neighbours = [name for name in ("content-knn", "bm25", "item-knn", "markov-knn") if name in known]
    plain = [Part(known[name], 1.0, "share") for name in neighbours]

    def fitted(parts: Sequence[Part], name: str) -> LogLinearMixture:
        log = arguments.output / f"log-linear-{re.sub(r'[^a-z0-9]+', '-', name)}.jsonl"
        return fit_log_linear(parts, split.validation, depth=DEPTH, max_cases=6000, log_file=log, name=name)

    rows.append(fitted(plain, "log-linear: neighbours alone"))
    for name, seeds in trained.items():
        rows += seeds.values()
        if len(seeds) > 1:
            rows.append(averaged(list(seeds.values()), f"{name}, {len(seeds)} averaged"))
    for name in arguments.generators:
        for seed, generator in trained.get(name, {}).items():
            mixed = f"{name} {seed} + content"
            rows.append(
                tune_mixture(
                    [Part(generator)],
                    known["content-knn"],
                    split.validation,
                    weights=(0.25, 0.5, 1.0, 2.0, 4.0),
                    scales=("share",),
                    depth=DEPTH,
                    log_file=arguments.output / f"mixture-{name}-{seed}.jsonl",
                    name=mixed,
                )
            )
            rows.append(fitted([Part(generator), *plain], f"log-linear: {name} {seed}, neighbours"))
            others = [
                Part(trained[other][seed]) for other in arguments.others if seed in trained.get(other, {})
            ]
            if others:
                rows.append(
                    fitted(
                        [Part(generator), *others, *plain], f"log-linear: {name} {seed}, others, neighbours"
                    )
                )
    every = [
        Part(averaged(list(seeds.values()), name)) if len(seeds) > 1 else Part(next(iter(seeds.values())))
        for name, seeds in trained.items()
    ]
    rows.append(fitted([*every, *plain], "log-linear: all models averaged, neighbours"))
    return rows


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
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fields", nargs="+", default=["title", "brand", "categories", "description"])
    parser.add_argument("--without", nargs="*", default=[], help="baselines left out, such as bm25")
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
    rankers = rows_of(arguments, split, ids)
    with (arguments.output / "rows.jsonl").open("w", encoding="utf-8") as stream:
        for ranker in rankers:
            row: dict[str, object] = {"name": ranker.name}
            for masked in (False, True):
                evaluator = RetrievalEvaluator(
                    split.test,
                    item_ids=ids,
                    mask_history=masked,
                    bootstrap=0 if masked else 1000,
                    train=None if masked else split.train,
                )
                result = evaluator.evaluate(ranker)
                row["masked" if masked else "unmasked"] = {k: round(v, 5) for k, v in result.metrics.items()}
                if not masked:
                    row["intervals"] = {k: [round(x, 5) for x in v] for k, v in result.intervals.items()}
                    write_run(result, arguments.output / "runs" / re.sub(r"[^\w.+-]+", "-", ranker.name))
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            found = row["unmasked"]
            print(f"{ranker.name:55} {found}", flush=True)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
