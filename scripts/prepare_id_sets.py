"""Semantic IDs of one item table by many definitions and seeds, and published ones re-read, as index files.

    python scripts/prepare_id_sets.py --items items.jsonl.gz --interactions interactions.csv.gz \
        --definitions rkmeans-3x256 p5-collaborative --seeds 0 1 2 \
        --published published_sids --output outputs/id-sets

Writes `NAME-sSEED.index.json.gz`, `facts.json` (fit time, native collisions …) and `inputs.json` (digests of
what each set was made of). Interactions count with their training part only. What is there already, of the
same inputs, is not made again; vectors are kept by item table and encoder. Published sets in which items
share an ID get one more code that tells them apart.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path
from typing import Any

from genrec import Catalog, EmbeddingTable, InteractionLog, ItemTable, ItemTokenizer, TextItemEncoder
from genrec.config import fingerprint
from genrec.embeddings import cached_embeddings
from genrec.errors import GenRecError
from genrec.semantic_ids import definition_path

FIELDS = ["title", "brand", "categories", "description"]


def options() -> argparse.Namespace:
    """Arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--definitions", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--fields", nargs="+", default=FIELDS, help="columns that are encoded")
    parser.add_argument("--vectors", type=Path, help="folder of an embedding table, in place of the encoder")
    parser.add_argument("--collaborative", type=Path, help="the same, for definitions that align with one")
    parser.add_argument("--suffix", default="", help="put behind the name of every set")
    parser.add_argument("--published", type=Path, help="folder of index files")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


def write_index(path: Path, catalog: Catalog) -> None:
    """Item -> tokens."""
    index = {item: list(catalog.tokens(item)) for item in catalog.item_ids}
    path.write_bytes(gzip.compress(json.dumps(index).encode("utf-8"), mtime=0))


def facts_of(catalog: Catalog, seconds: float | None = None) -> dict[str, Any]:
    """What an index file cannot tell: fit time, and how IDs collided before they were made unique."""
    found = catalog.diagnostics()
    native = {} if found.shared_before is None else {"native_largest_group": found.largest_group_before}
    shared = {"native_shared": found.shared_before} if found.shared_before is not None else {}
    return shared | native | ({} if seconds is None else {"fit_seconds": round(seconds, 2)})


def content_vectors(arguments: argparse.Namespace, items: ItemTable) -> EmbeddingTable:
    """Given, cached for these items and this encoder, or encoded now."""
    if arguments.vectors is not None:
        return EmbeddingTable.load(arguments.vectors)
    encoder = TextItemEncoder(arguments.encoder, arguments.fields)
    return cached_embeddings(encoder, items, arguments.output / "vectors")


def read_json(path: Path) -> dict[str, Any]:
    """What a file says; nothing where it is not there."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def main() -> None:
    """Makes every set."""
    arguments = options()
    arguments.output.mkdir(parents=True, exist_ok=True)
    ledger, inputs_file = arguments.output / "facts.json", arguments.output / "inputs.json"
    facts, inputs = read_json(ledger), read_json(inputs_file)
    items = ItemTable.read(arguments.items)
    train = InteractionLog.read(arguments.interactions, items=items).leave_one_out().train
    vectors: EmbeddingTable | None = None
    behaviour = None if arguments.collaborative is None else EmbeddingTable.load(arguments.collaborative)
    for definition in arguments.definitions:
        for seed in arguments.seeds:
            name = f"{definition}{arguments.suffix}-s{seed}"
            path = arguments.output / f"{name}.index.json.gz"
            item_tokenizer = ItemTokenizer.from_definition(definition, seed=seed)
            if not item_tokenizer.is_index and vectors is None:
                vectors = content_vectors(arguments, items)
            given = None if item_tokenizer.is_index else vectors
            aligned = behaviour if item_tokenizer.aligns else None
            wanted = fingerprint(
                [
                    items.fingerprint(),
                    train.fingerprint() if item_tokenizer.needs_interactions else None,
                    *(None if table is None else table.fingerprint() for table in (given, aligned)),
                    definition_path(definition).read_text(encoding="utf-8"),
                    seed,
                ]
            )
            if path.is_file() and inputs.get(name, wanted) == wanted:  # sets of before may have no digest
                continue
            began = time.perf_counter()
            try:
                item_tokenizer.fit(items, train, embeddings=given, collaborative=aligned)
                catalog = Catalog.build(item_tokenizer, items, embeddings=given)
            except GenRecError as error:
                print(f"{name}: {error}")
                continue
            facts[name] = facts_of(catalog, time.perf_counter() - began)
            inputs[name] = wanted
            write_index(path, catalog)
            ledger.write_text(json.dumps(facts, indent=1), encoding="utf-8")
            inputs_file.write_text(json.dumps(inputs, indent=1), encoding="utf-8")
            print(name, facts[name], flush=True)
    for source in sorted(arguments.published.glob("*.json*")) if arguments.published else ():
        name = f"published-{source.name.split('.')[0]}"
        path = arguments.output / f"{name}-s0.index.json.gz"
        try:
            catalog = Catalog.from_index(source, items, collisions="extra_code")
        except GenRecError as error:
            print(f"{source.name}: {error}")
            continue
        facts[f"{name}-s0"] = facts_of(catalog)
        write_index(path, catalog)
        ledger.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        print(name, facts[f"{name}-s0"], flush=True)


if __name__ == "__main__":
    main()
