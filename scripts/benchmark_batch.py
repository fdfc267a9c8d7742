"""Benchmark of batch scoring: a file of users against the same users one at a time, and what the files cost.

python scripts/benchmark_batch.py [--quick] [--json FILE]

A small model with random weights, items, histories and Semantic IDs at random: the time depends on their
shape only. The two take turns in this process over the same users; `identical` tells whether their lists are
the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from genrec import Catalog, GenerativeRecommender, ItemTable, SemanticIdSpec, SemanticIdVocabulary
from genrec.artifacts import atomic_write_text
from genrec.recommender import score_users
from genrec.recommender.bundle import BundleSettings
from genrec.vocabulary import build_small_model, train_text_tokenizer

SIZES = (256, 256, 256)
K = 10
ROUNDS = 3


def main() -> None:
    """Runs both in turn and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=6_000)
    parser.add_argument("--alone", type=int, default=300, help="users that are asked for one at a time")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="600 users, 60 of them alone, 1,000 items")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    options = parser.parse_args()
    if options.quick:
        options.users, options.alone, options.items = 600, 60, 1_000
    torch.set_num_threads(options.threads)
    recommender, histories = world(options)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(recommender, histories, options, Path(folder))
    print(
        f"{os.cpu_count()} {platform.machine()} cores, {options.threads} threads, torch {torch.__version__}"
    )
    print(f"{options.items:,} items, {options.users:,} users, k={K}, 20 beams, seed {options.seed}")
    for row in rows:
        goal = "" if row["goal"] is None else f"goal {row['goal']:g}: {'met' if row['met'] else 'NOT MET'}"
        same = "" if row["identical"] is None else f"identical: {row['identical']}"
        print(f"{row['name']:44} {row['value']:12,.2f} {row['unit']:8} {goal:16} {same}")
    if options.json is not None:
        atomic_write_text(options.json, json.dumps(rows, indent=2) + "\n")


def world(options: argparse.Namespace) -> tuple[GenerativeRecommender, list[list[str]]]:
    """A recommender with random weights, and histories of 1 to 20 items."""
    rng = np.random.default_rng(options.seed)
    text_tokenizer = train_text_tokenizer(["a little text"], vocab_size=300)
    vocabulary = SemanticIdVocabulary.extend(text_tokenizer, SemanticIdSpec(SIZES))
    model = build_small_model(text_tokenizer, hidden_size=options.hidden_size, seed=options.seed).eval()
    ids = [f"i{n}" for n in range(options.items)]
    numbers = rng.choice(int(np.prod(SIZES)), size=options.items, replace=False)
    catalog = Catalog(ids, np.stack(np.unravel_index(numbers, SIZES), axis=1), vocabulary.spec)
    items = ItemTable.from_rows({"item_id": item, "title": f"Title of {item}"} for item in ids)
    settings = BundleSettings(max_history=20, num_beams=20, popular_items=tuple(ids[:100]))
    found = GenerativeRecommender(model, text_tokenizer, vocabulary, catalog, items, settings=settings)
    lengths = rng.integers(1, 21, options.users)
    return found, [[ids[i] for i in rng.integers(0, options.items, length)] for length in lengths]


def measure(
    recommender: GenerativeRecommender, histories: list[list[str]], options: argparse.Namespace, folder: Path
) -> list[dict[str, Any]]:
    """Users a second of the batch, of one request after the other, and of the search without files."""
    recommender.save_pretrained(folder / "bundle")
    users = folder / "users.jsonl"
    users.write_text(
        "".join(json.dumps({"user_id": f"u{n}", "history": h}) + "\n" for n, h in enumerate(histories))
    )
    chosen = np.random.default_rng(1).choice(len(histories), size=options.alone, replace=False).tolist()
    batch, alone, search, lists = [], [], [], {}
    for number in range(ROUNDS):
        out = folder / f"{number}.parquet"
        began = time.perf_counter()
        score_users(recommender, folder / "bundle", users, out, k=K, shard=(0, 1))
        batch.append(len(histories) / (time.perf_counter() - began))
        began = time.perf_counter()
        for i in chosen:
            lists[i] = [one.item_id for one in recommender.recommend(histories[i], K)]
        alone.append(len(chosen) / (time.perf_counter() - began))
        ranker = recommender.ranker
        rows = [recommender.catalog.rows(history) for history in histories]
        began = time.perf_counter()
        prompts = [ranker.prompt(history) for history in histories]
        ranker.after_prompts(prompts, K, exclude=[row.tolist() for row in rows])
        search.append(len(histories) / (time.perf_counter() - began))
    written = pq.read_table(folder / "0.parquet").column("item_ids")
    same = all(written[i].as_py() == lists[i] for i in chosen)
    ratio, overhead = (
        float(np.median(batch) / np.median(alone)),
        float(np.median(search) / np.median(batch)) - 1,
    )
    table = [
        ("batch, users.jsonl to recs.parquet", float(np.median(batch)), "users/s", None, None, None),
        ("one request after the other", float(np.median(alone)), "users/s", None, None, None),
        ("batch against one after the other", ratio, "x", 3.0, ratio >= 3.0, same),
        ("search alone, without files and checks", float(np.median(search)), "users/s", None, None, None),
        ("time for files, checks and lists", 100 * overhead, "%", 25.0, overhead <= 0.25, None),
    ]
    names = ("name", "value", "unit", "goal", "met", "identical")
    return [dict(zip(names, row, strict=True)) for row in table]


if __name__ == "__main__":
    main()
