"""Item models and their hybrids on one data set, leave-one-out: a table of test results and JSON lines.

    python scripts/benchmark_item_models.py --items data/amazon-scientific/items.jsonl.gz \
        --interactions data/amazon-scientific/interactions.csv.gz --output outputs/item-models --seed 0

Rows: content-kNN, SASRec without and with content, the item-level generator, its control without codes,
each of the trained ones mixed with content-kNN, and generator + control averaged. Early stopping and the
weights of mixtures look at the validation cases; the test cases are opened once, at the end. Runs that are
there already are taken up.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genrec.baselines import (
    ContentKNN,
    Part,
    ProbabilityMixture,
    SASRec,
    sasrec_model,
    tune_content_knn,
    tune_mixture,
)
from genrec.catalog import Catalog
from genrec.data import InteractionLog, ItemTable, Split
from genrec.embeddings import EmbeddingTable, PrincipalComponents, TextItemEncoder, cached_embeddings
from genrec.evaluation import RetrievalEvaluator
from genrec.models import ItemLevelModel, ItemSoftmaxModel
from genrec.pipeline.item_models import train_item_model
from genrec.ranking import Ranker
from genrec.recommender import ItemLevelRanker
from genrec.semantic_ids import ItemTokenizer
from genrec.training import ItemTrainingConfig, on_cpu

SASREC = {"weight_decay": 0.1, "embedding_weight_decay": None}
MODELS = ("sasrec", "sasrec-content", "item-level", "control")
WEIGHTS = (1.0, 0.25, 0.5, 2.0, 4.0)


@dataclass(frozen=True)
class Data:
    """One data set with its vectors and Semantic IDs."""

    items: ItemTable
    split: Split
    embeddings: EmbeddingTable
    catalog: Catalog
    content: np.ndarray


def read(arguments: argparse.Namespace) -> Data:
    """Reads the files, encodes the texts (cached) and makes the IDs of this seed."""
    items = ItemTable.read(arguments.items)
    log = InteractionLog.read(arguments.interactions, time="order", items=items)
    encoder = TextItemEncoder(arguments.encoder)
    embeddings = cached_embeddings(encoder, items, arguments.output / "embeddings")
    folder = arguments.output / f"catalog-{arguments.seed}"
    if folder.exists():
        catalog = Catalog.load(folder)
    else:
        item_tokenizer = ItemTokenizer.from_definition("rkmeans-3x256", seed=arguments.seed)
        item_tokenizer.fit(items, embeddings=embeddings)
        catalog = Catalog.build(item_tokenizer, items, embeddings=embeddings)
        catalog.save(folder)
    content = PrincipalComponents().fit(embeddings).apply(embeddings).vectors_for(catalog.item_ids)
    return Data(items, log.leave_one_out(), embeddings, catalog, content)


def untrained(name: str, data: Data, seed: int) -> tuple[Any, Callable[[Any], Ranker], dict[str, Any]]:
    """Model, what ranks with it, and the training arguments that are its own."""
    ids, size = data.catalog.item_ids, len(data.catalog)
    match name:
        case "item-level":
            model: Any = ItemLevelModel.for_catalog(data.catalog.trie, data.content, seed=seed)
            return model, lambda m: ItemLevelRanker(m, data.catalog, num_beams=20, name=name), {}
        case "control":
            model = ItemSoftmaxModel.for_items(size, data.content, seed=seed)
            return model, lambda m: SASRec(m, ids, name=name), {}
        case "sasrec-content":
            model = sasrec_model(size, data.content, seed=seed)
            return model, lambda m: SASRec(m, ids, name=name), {**SASREC, "ema_decay": 0.99}
        case _:
            model = sasrec_model(size, seed=seed)
            return model, lambda m: SASRec(m, ids, name=name), {**SASREC, "ema_decay": 0.0}


def trained(name: str, data: Data, arguments: argparse.Namespace) -> Ranker:
    """The ranker of the best weights by validation NDCG@10; a finished run is not trained again."""
    model, make_ranker, own = untrained(name, data, arguments.seed)
    settings = {
        "num_train_epochs": arguments.epochs,
        "seed": arguments.seed,
        "data_seed": arguments.seed,
        "use_cpu": on_cpu(),
        "disable_tqdm": not sys.stderr.isatty(),
        "save_total_limit": 1,
    }
    folder = arguments.output / f"{name}-{arguments.seed}"
    best, callback = train_item_model(
        model,
        make_ranker,
        data.split,
        data.catalog.item_ids,
        ItemTrainingConfig(str(folder), **{**settings, **own}),
        evaluate_every=arguments.evaluate_every,
        patience=arguments.patience,
    )
    print(f"{name}: validation ndcg@10 {callback.best_value:.4f} at step {callback.best_step}", flush=True)
    if name == "item-level":
        return ItemLevelRanker(best, data.catalog, name=name)
    return make_ranker(best)


def mixtures(rankers: dict[str, Ranker], content: Ranker, data: Data, folder: Path) -> list[Ranker]:
    """Each trained ranker with content, generator and control averaged, and those two with content."""
    found: list[Ranker] = []
    bases = {name: [Part(ranker)] for name, ranker in rankers.items()}
    if {"item-level", "control"} <= rankers.keys():
        both = [Part(rankers["item-level"], 0.5), Part(rankers["control"], 0.5)]
        bases["item-level + control"] = both
        found.append(ProbabilityMixture(both, depth=100, name="item-level + control"))
    for name, base in bases.items():
        found.append(
            tune_mixture(
                base,
                content,
                data.split.validation,
                weights=WEIGHTS,
                scales=("share",),
                depth=100,
                log_file=folder / f"tuning-{name.replace(' ', '')}.jsonl",
                name=f"{name} + content",
            )
        )
    return found


def main() -> None:
    """Trains, mixes, evaluates, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoder", default="minilm", help="sentence-transformers model or folder")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--epochs", type=float, default=200)
    parser.add_argument("--evaluate-every", type=int, default=200, metavar="STEPS")
    parser.add_argument("--patience", type=int, default=3)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO)
    torch.set_num_threads(1)
    data, began = read(arguments), time.perf_counter()
    ids, validation = data.catalog.item_ids, data.split.validation
    log_file = arguments.output / f"tuning-content-{arguments.seed}.jsonl"
    content: ContentKNN = tune_content_knn(
        data.embeddings, validation, ids, train=data.split.train, log_file=log_file
    )
    rankers = {name: trained(name, data, arguments) for name in arguments.models}
    rows = [content, *rankers.values(), *mixtures(rankers, content, data, arguments.output)]
    evaluator = RetrievalEvaluator(data.split.test, item_ids=ids, ks=(5, 10), bootstrap=0)
    with (arguments.output / f"results-{arguments.seed}.jsonl").open("w", encoding="utf-8") as stream:
        for ranker in rows:
            metrics = {name: round(value, 4) for name, value in evaluator.evaluate(ranker).metrics.items()}
            stream.write(json.dumps({"name": ranker.name, "seed": arguments.seed, **metrics}) + "\n")
            stream.flush()
            print(
                f"{ranker.name:32} recall@10 {metrics['recall@10']:.4f} ndcg@10 {metrics['ndcg@10']:.4f}",
                flush=True,
            )
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
