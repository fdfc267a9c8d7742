"""Benchmark of the living catalog: a thousand items join a million, in memory and on disk.

    python scripts/benchmark_catalog.py [--quick] [--json FILE]

The alternative is to build the catalog of all items anew, and to save it whole, timed in the same run. Prints
a table; `--quick` takes 100,000 items.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from genrec import Catalog, EmbeddingTable, ItemTable, ItemTokenizer
from genrec.quantization import ResidualKMeans
from genrec.semantic_ids import SemanticIdSpec

SIZES = (256, 256, 256)
NEW, WIDTH, ROUNDS = 1_000, 32, 3


def best(function: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Shortest of several times, in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def tokenizer_of(rng: np.random.Generator, centres: np.ndarray) -> ItemTokenizer:
    """An item tokenizer that learned from a sample of the clustered vectors."""
    ids = [f"sample{n}" for n in range(20_000)]
    table = EmbeddingTable(ids, clustered(rng, centres, len(ids)))
    items = ItemTable.from_rows({"item_id": item, "title": ""} for item in ids)
    return ItemTokenizer(ResidualKMeans(3, 256, iterations=10)).fit(items, embeddings=table)


def clustered(rng: np.random.Generator, centres: np.ndarray, rows: int) -> np.ndarray:
    """Vectors around centres of unequal weight, float32 `[rows, d]`."""
    weights = 1 / np.arange(1, len(centres) + 1) ** 0.7
    chosen = rng.choice(len(centres), size=rows, p=weights / weights.sum())
    return (centres[chosen] + 0.5 * rng.normal(size=(rows, WIDTH))).astype(np.float32)


def main() -> None:
    """Runs everything and prints it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100,000 items in place of 1,000,000")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    arguments = parser.parse_args()
    size = 100_000 if arguments.quick else 1_000_000
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2_000, WIDTH)) * 2
    tokenizer = tokenizer_of(rng, centres)
    ids = [f"item {n}" for n in range(size)]
    codes = np.unique(tokenizer.quantizer.encode(clustered(rng, centres, size)), axis=0)
    free = np.setdiff1d(np.arange(256**3), codes @ np.array([65_536, 256, 1]))
    more = np.stack(np.unravel_index(rng.choice(free, size - len(codes), replace=False), SIZES), axis=1)
    catalog = Catalog(ids, np.concatenate([codes, more]).astype(np.int32), SemanticIdSpec(SIZES))
    new_ids = [f"new {n}" for n in range(NEW)]
    new = ItemTable.from_rows({"item_id": item, "title": ""} for item in new_ids)
    table = EmbeddingTable(new_ids, clustered(rng, centres, NEW))
    _ = catalog.version

    grown = catalog.add(new, tokenizer, embeddings=table)
    in_memory = best(lambda: catalog.add(new, tokenizer, embeddings=table))
    anew = best(lambda: Catalog(grown.item_ids, grown.codes, grown.spec), 1)
    identical = Catalog(grown.item_ids, grown.codes, grown.spec).item(grown.tokens("new 7")) == "new 7"
    retired = best(lambda: catalog.retire(ids[:NEW]))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "catalog"
        whole = best(lambda: catalog.save(place), 1)
        durable = best(lambda: catalog.add(new, tokenizer, embeddings=table).save(place), 1)
        opened = best(lambda: Catalog.load(place), 1)
        loaded = Catalog.load(place)
    identical = identical and loaded.version == grown.version and bool((loaded.codes == grown.codes).all())
    rows = [
        ("add 1,000 items, in memory", in_memory, "s", 1.0),
        ("the same and saved durably", durable, "s", 3.0),
        ("retire 1,000 items, in memory", retired, "s", None),
        ("build all anew", anew, "s", None),
        ("build anew / add", anew / in_memory, "x", None),
        ("save all", whole, "s", None),
        ("load", opened, "s", None),
    ]
    listed = [
        {
            "name": name,
            "value": value,
            "unit": unit,
            "goal": goal,
            "met": None if goal is None else value <= goal,
            "identical": identical,
        }
        for name, value, unit, goal in rows
    ]
    print(f"{size:,} items, {NEW:,} new ones; the grown catalog is the same however made: {identical}\n")
    print("| what | measured | goal |\n|---|---|---|")
    for name, value, unit, goal in rows:
        print(f"| {name} | {value:.2f} {unit} | {'' if goal is None else f'{goal:.0f} {unit}'} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(listed, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
