"""Cold items: held out of all training, added to the catalog afterwards, then looked for.

    python scripts/benchmark_cold_items.py --items data/amazon-scientific/items.jsonl.gz \
        --interactions data/amazon-scientific/interactions.csv.gz --output outputs/cold-items

A share of the items is held out by `cold_item_split`: a history ends before its first cold item, which is its
case. IDs, words, principal components and the generator see the others (warm items) only; early stopping
looks at warm validation cases (leave-one-out within the training log). Then the cold items join by
`Catalog.add` and `grown`. Half of them, with their own cases, choose the settings of content-kNN and the
weight of content in the search; the other half is the test. Rows: Recall@10 over the full catalog, cold and
warm items, history not masked, for the cold targets, and for warm ones before and after.

A finished training is not run again, a killed one goes on. `--quick` trains one seed of one form for 100
steps. `--vectors FILE.npy --vector-ids FILE.json` stand for the text encoder.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from benchmark_cold_world import FORMS, World, trained, world_of

from genrec.artifacts import atomic_write_text
from genrec.baselines import BM25, ContentKNN, tune_content_knn
from genrec.data import Cases, ItemTable
from genrec.embeddings import EmbeddingTable, TextItemEncoder, cached_embeddings
from genrec.evaluation import RetrievalEvaluator
from genrec.models import ItemLevelModel, grown
from genrec.ranking import Ranker
from genrec.recommender import ItemLevelRanker

WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of content in the search
VALIDATION_CASES = 1000  # of each kind, for the weight
WARM_CASES = 2000  # warm test cases


def measured(ranker: Ranker, cases: Cases, item_ids: list[str], k: int = 10) -> dict[str, float]:
    """Recall and NDCG at k over the full catalog."""
    found = RetrievalEvaluator(cases, item_ids=item_ids, ks=(k,), bootstrap=0).evaluate(ranker).metrics
    return {name: found[f"{name}@{k}"] for name in ("recall", "ndcg")}


def hybrid(world: World, model: ItemLevelModel, content: ContentKNN, weight: float) -> ItemLevelRanker:
    """The search with content mixed in."""
    return ItemLevelRanker(model, world.grown, content=content, content_weight=weight, batch_size=256)


def both(ranker: Ranker, world: World) -> dict[str, dict[str, float]]:
    """The cold and the warm test cases."""
    parts = {"cold": world.split.test, "warm": world.warm.test.sample(WARM_CASES)}
    return {part: measured(ranker, cases, world.grown.item_ids) for part, cases in parts.items()}


def rows_of(
    arguments: argparse.Namespace, world: World, form: str, seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Row -> part of the cases -> metrics, for one form and seed."""
    ids, split = world.grown.item_ids, world.split
    log = arguments.output / f"content-knn-{form.replace(' ', '-')}-{seed}.jsonl"
    content = tune_content_knn(world.vectors, split.validation, ids, train=world.warm.train, log_file=log)
    found = {
        ranker.name: both(ranker, world)
        for ranker in (content, BM25(world.items, ids, fields=arguments.fields))
    }
    model = trained(arguments, world, form, seed)
    before = ItemLevelRanker(model, world.catalog, batch_size=256)
    warm_test = world.warm.test.sample(WARM_CASES)
    found[f"{form}, before they join"] = {"warm": measured(before, warm_test, world.catalog.item_ids)}
    larger = grown(model, world.grown.trie, world.grown_content if FORMS[form][1] else None)
    found[form] = both(ItemLevelRanker(larger, world.grown, batch_size=256), world)
    cold_validation = split.validation.sample(VALIDATION_CASES)
    warm_validation = world.warm.validation.sample(VALIDATION_CASES)
    tried = []
    for weight in WEIGHTS:
        ranker = hybrid(world, larger, content, weight)
        cold, warm = (measured(ranker, cases, ids)["ndcg"] for cases in (cold_validation, warm_validation))
        tried.append({"weight": weight, "cold": cold, "warm": warm, "both": (cold + warm) / 2})
    for part, name in (("both", "warm and cold"), ("cold", "cold")):
        weight = max(tried, key=lambda row: row[part])["weight"]  # of equal values the first
        found[f"{form} + content, weight from {name} validation"] = {
            **both(hybrid(world, larger, content, weight), world),
            "weight": {"recall": weight},
        }
    facts = {"items": len(ids), "cold items": len(split.held_out), "cold test cases": len(split.test)}
    return {**found, "": {"facts": facts, **{str(row["weight"]): row for row in tried}}}


def main() -> None:
    """Prints a table and writes what every seed found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, help=".npy of content vectors; default: the text encoder")
    parser.add_argument("--vector-ids", type=Path, help="their item ids, JSON")
    parser.add_argument("--fields", nargs="+", default=["title", "brand", "categories", "description"])
    parser.add_argument("--definition", default="rkmeans-3x256", help="of the item tokenizer")
    parser.add_argument(
        "--share", type=float, default=0.05, help="of the items held out, half for validation"
    )
    parser.add_argument("--forms", nargs="+", choices=sorted(FORMS), default=list(FORMS), metavar="FORM")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="of items held out and weights"
    )
    parser.add_argument("--content-dim", type=int, default=128, help="components of MiniLM and of the words")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--evaluate-every", type=int, default=100, metavar="STEPS")
    parser.add_argument("--patience", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.forms = arguments.seeds[:1], arguments.forms[:1]
        arguments.steps = min(arguments.steps, 100)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    items = ItemTable.read(arguments.items)
    if arguments.vectors:
        vectors = EmbeddingTable.from_files(arguments.vectors, arguments.vector_ids)
    else:
        encoder = TextItemEncoder("minilm", arguments.fields)
        vectors = cached_embeddings(encoder, items, arguments.output / "embeddings")
    values: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    facts: list[str] = []
    for seed in arguments.seeds:
        world = None
        for form in arguments.forms:
            file = arguments.output / f"rows-{form.replace(' ', '-')}-{seed}-{arguments.steps}.json"
            if not file.exists():
                world = world or world_of(arguments, items, vectors, seed)
                rows = rows_of(arguments, world, form, seed)
                atomic_write_text(file, json.dumps(rows, indent=1) + "\n")
            rows = json.loads(file.read_text(encoding="utf-8"))
            facts.append(f"seed {seed}: {rows.pop('')['facts']}")
            for name, parts in rows.items():
                for part, metrics in parts.items():
                    values[name, part][seed] = metrics["recall"]
    print("\n".join(dict.fromkeys(facts)))
    print("\n| ranker | weight | Recall@10, cold | Recall@10, warm |\n|---|---|---|---|")
    goal = float(np.mean([*values["content-knn", "cold"].values()]))
    listed = []
    for name in dict.fromkeys(name for name, _ in values):
        weights = values.get((name, "weight"), {})
        cells = [" / ".join(f"{weight:g}" for weight in weights.values())]
        for part in ("cold", "warm"):
            found = [*values.get((name, part), {}).values()]
            spread = f" ± {(max(found) - min(found)) / 2:.4f}" if len(found) > 1 else ""
            cells.append(f"{np.mean(found):.4f}{spread}" if found else "")
            if found:
                wanted = goal if part == "cold" and "weight" in name else None
                value = float(np.mean(found))
                row = {"name": f"{name}: {part}", "value": value, "unit": "Recall@10", "goal": wanted}
                listed.append({**row, "met": None if wanted is None else value >= wanted})
        print(f"| {name} | {' | '.join(cells)} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(listed, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
