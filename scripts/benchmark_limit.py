"""LIMIT (arXiv 2508.21038): a generator trained on synthetic queries against single-vector retrieval.

    python scripts/prepare_limit.py --source data/limit-small --documents 1000 --output data/limit-1000
    python scripts/benchmark_limit.py --task data/limit-1000 --output outputs/limit-1000 --seed 0

Rows, Recall@2 on the 1,000 test queries: BM25; MiniLM cut to its first 32 ... 384 dimensions; free vectors
of 4 ... 64 dimensions fitted on the test judgments themselves, the most that an embedding of that width can
do (the paper's section 4); and genrec: a small decoder from scratch that learned `query2index` on the
training queries, whose wording is never that of the test. Its number of epochs is that of the best dev value.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_item_training import Deadline
from benchmark_limit_vectors import FREE, dense, free_vectors

from genrec.artifacts import atomic_write_text
from genrec.baselines import BM25
from genrec.catalog import Catalog
from genrec.data import SearchTask
from genrec.evaluation import RetrievalCallback, SearchEvaluator
from genrec.recommender import GenerativeRanker
from genrec.recommender.query_prompts import QueryPrompts
from genrec.semantic_ids import ItemTokenizer
from genrec.tasks import PromptBuilder, Query2Index, TaskMixture, judged_pairs
from genrec.training import AlignmentConfig, AlignmentTrainer, load_weights, on_cpu
from genrec.vocabulary import SemanticIdVocabulary, build_small_model, train_text_tokenizer

NO_HISTORY = np.zeros((0, 1), dtype=np.int32)


class AskedGenerator:
    """A generator that learned queries, as a `QueryRanker`."""

    name = "genrec"

    def __init__(self, ranker: GenerativeRanker) -> None:
        self.ranker = ranker
        self.prompts = QueryPrompts(ranker.builder, ["query2index"])

    def rank_queries(self, queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best items of each query."""
        found = self.ranker.after_prompts([self.prompts.prompt(query, NO_HISTORY) for query in queries], k)
        return found.items, found.scores


def generator(task: SearchTask, arguments: argparse.Namespace) -> AskedGenerator:
    """Trains `query2index` on the training queries and keeps the weights of the best dev Recall@2."""
    item_tokenizer = ItemTokenizer.from_definition("rkmeans-3x64", seed=arguments.seed).fit(task.corpus)
    catalog = Catalog.build(item_tokenizer, task.corpus)
    pairs = judged_pairs(task, "train")
    texts = train_text_tokenizer([text for text, _ in pairs], 4096)
    vocabulary = SemanticIdVocabulary.extend(texts, catalog.spec)
    model = build_small_model(
        texts,
        hidden_size=arguments.hidden,
        num_layers=2,
        intermediate_size=2 * arguments.hidden,
        seed=arguments.seed,
    )
    args = AlignmentConfig(
        str(arguments.output / f"genrec-{arguments.seed}"),
        num_train_epochs=arguments.epochs,
        max_steps=arguments.steps or -1,
        per_device_train_batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        weight_decay=0.01,
        residual_dropout=0.1,
        save_total_limit=1,
        save_strategy="no",
        seed=arguments.seed,
        use_cpu=on_cpu(),
        disable_tqdm=not sys.stderr.isatty(),
    )
    rows = TaskMixture(catalog, [Query2Index(catalog, None, pairs)], seed=arguments.seed)
    trainer = AlignmentTrainer(
        model=model, text_tokenizer=texts, vocabulary=vocabulary, train_dataset=rows, args=args
    )
    builder = PromptBuilder.for_tokenizer(texts, vocabulary)

    def ranker(trained: Any) -> AskedGenerator:
        return AskedGenerator(GenerativeRanker(trained, builder, catalog, num_beams=20))

    callback = RetrievalCallback(
        SearchEvaluator.of_task(task, "dev", ks=(2,), bootstrap=0),
        ranker,
        Path(str(args.output_dir)),
        every_steps=max(1, int(len(rows) / arguments.batch_size * arguments.evaluate_every)),
        patience=arguments.patience,
        metric="recall@2",
    )
    deadline = Deadline(arguments.max_seconds)
    trainer.add_callback(callback)
    trainer.add_callback(deadline)
    trainer.train()
    load_weights(trainer.model, callback.best_weights())
    print(
        f"genrec: dev recall@2 {callback.best_value:.4f} at step {callback.best_step}, best of "
        f"{callback.last_step} steps" + (", ended by the clock" if deadline.reached else ""),
        flush=True,
    )
    return ranker(trainer.model.eval())


def main() -> None:
    """Prints a table and writes JSON lines; a row that is there already is not made again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", type=Path, required=True, help="folder made by prepare_limit.py")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=["bm25", "dense", "free", "genrec"])
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--epochs", type=float, default=60)
    parser.add_argument("--steps", type=int, default=0, help="in place of --epochs")
    parser.add_argument("--max-seconds", type=float, default=0.0, help="training stops then; 0 = never")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--evaluate-every", type=float, default=2, metavar="EPOCHS")
    parser.add_argument("--patience", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)
    task, began = SearchTask.read(arguments.task), time.perf_counter()
    evaluator = SearchEvaluator.of_task(task, ks=(2, 10, 20), bootstrap=1000)
    rankers: list[Any] = []
    if "bm25" in arguments.rows:
        rankers.append(BM25(task.corpus, fields=["description"]))
    rankers += dense(task, arguments.output) if "dense" in arguments.rows else []
    rankers += [free_vectors(task, dim, arguments.seed) for dim in FREE] if "free" in arguments.rows else []
    rankers += [generator(task, arguments)] if "genrec" in arguments.rows else []
    rows = []
    for ranker in rankers:
        result = evaluator.evaluate(ranker)
        low, high = result.intervals["recall@2"]
        rows.append(
            {"name": ranker.name, "documents": len(task.corpus), "seed": arguments.seed, **result.metrics}
        )
        print(
            f"{ranker.name:28} recall@2 {result.metrics['recall@2']:.4f} [{low:.4f}, {high:.4f}]", flush=True
        )
    name = f"results-{'-'.join(arguments.rows)}-{arguments.seed}.jsonl"
    arguments.output.mkdir(parents=True, exist_ok=True)
    atomic_write_text(arguments.output / name, "".join(json.dumps(row) + "\n" for row in rows))
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
