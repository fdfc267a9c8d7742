"""Benchmark of the item tokenizer: residual k-means and matching beside faiss, RQ-VAE, the trie of all IDs.

    python scripts/benchmark_tokenizer.py [--quick] [--json FILE] [--only scale rqvae catalog]

scale: generated, clustered float32 vectors mapped from disk. faiss's ResidualQuantizer (train + encode) and
`ResidualKMeans` (fit + encode) with `resolve_matching`, on the same sample, with as many k-means passes, in
turn in this process; the error of both is measured on all rows. faiss runs greedily, as Semantic IDs are
made; --beam tells what its own default, a beam of five, costs and gains. Needs the extra `eval`.
rqvae: `rqvae-refit-4x256` beside residual k-means of as many bits, on vectors of your own (--vectors, a
.npy); left out without them.
catalog: the trie of ten million random IDs, built, saved and opened.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from benchmark_tokenizer_scale import SIZES, WIDTH, Row, row, scale, timed

from genrec import ItemTokenizer
from genrec.catalog import CatalogTrie


def main() -> None:
    """Runs the parts and prints what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=["scale", "rqvae", "catalog"])
    parser.add_argument("--rows", type=int, default=1_000_000, help="vectors of the part scale")
    parser.add_argument("--iterations", type=int, default=25, help="k-means passes, of both")
    parser.add_argument("--rounds", type=int, default=1, help="turns of the part scale; the quickest counts")
    parser.add_argument("--beam", action="store_true", help="time faiss with its default beam of 5 too")
    parser.add_argument("--vectors", type=Path, help="float matrix (.npy) for the part rqvae")
    parser.add_argument("--ids", type=int, default=10_000_000, help="IDs of the part catalog")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="100,000 vectors, 1,000,000 IDs, no RQ-VAE")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.ids, options.vectors = 100_000, 1_000_000, None
    parts: dict[str, Callable[[argparse.Namespace], list[Row]]] = {"scale": scale, "catalog": catalog}
    if options.vectors is not None:
        parts["rqvae"] = rqvae
    rows = [row for name, part in parts.items() if name in (options.only or parts) for row in part(options)]
    print(f"{os.cpu_count()} {platform.machine()} cores, {options.rows:,} x {WIDTH} vectors\n")
    print("| | value | unit | goal | met |\n|---|---|---|---|---|")
    for found in rows:
        met = {True: "yes", False: "no", None: ""}[found["met"]]
        print(f"| {found['name']} | {found['value']:.4g} | {found['unit']} | {found['goal'] or ''} | {met} |")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def rqvae(options: argparse.Namespace) -> list[Row]:
    """RQ-VAE beside residual k-means of as many bits, on real vectors."""
    vectors = np.load(options.vectors, allow_pickle=False).astype(np.float32)
    plain = ItemTokenizer.from_definition("rkmeans-4x256", seed=options.seed).quantizer.fit(vectors)
    network = ItemTokenizer.from_definition("rqvae-refit-4x256", seed=options.seed).quantizer
    busy = time.process_time()
    _, seconds = timed(lambda: network.fit(vectors))
    busy = time.process_time() - busy
    used = min(network.training_record["codes_used"]) / SIZES[0]
    shares = [shared_share(quantizer.encode(vectors)) for quantizer in (network, plain)]
    errors = [quantizer.training_record["relative_error"] for quantizer in (network, plain)]
    name = "rqvae-refit-4x256"
    return [
        row(f"{name}, fit", seconds, "s", "<= 180", seconds <= 180),
        row(f"{name}, fit, CPU time", busy, "s"),
        row(f"{name}, least used codebook", used, "share", ">= 0.95", used >= 0.95),
        row(f"{name}, items sharing an ID natively", shares[0], "share", "<= 0.02", shares[0] <= 0.02),
        row("rkmeans-4x256, items sharing an ID natively", shares[1], "share"),
        row(f"{name}, error", errors[0], "share", "<= rkmeans", errors[0] <= errors[1]),
        row("rkmeans-4x256, error", errors[1], "share"),
    ]


def catalog(options: argparse.Namespace) -> list[Row]:
    """The trie of many random IDs."""
    generator = np.random.default_rng(options.seed)
    numbers = np.unique(generator.integers(0, 256**4, size=options.ids, dtype=np.int64))
    codes = np.stack([(numbers >> shift) & 255 for shift in (24, 16, 8, 0)], axis=1).astype(np.int32)
    codes = codes[generator.permutation(len(codes))]
    trie, built = timed(lambda: CatalogTrie.from_codes(codes, SIZES))
    with tempfile.TemporaryDirectory() as folder:
        _, saved = timed(lambda: trie.save(Path(folder) / "trie"))
        opened, taken = timed(lambda: CatalogTrie.load(Path(folder) / "trie"))
        per_item = trie.num_bytes / trie.num_items
        same = all((a == b).all() for a, b in zip(trie.codes, opened.codes, strict=True))
    return [
        row(f"trie of {len(codes):,} IDs, built", built, "s", "<= 5 at 10M", built <= 5),
        row("trie, saved", saved, "s"),
        row("trie, opened", taken, "s", "<= 0.1", taken <= 0.1),
        row("trie, memory", per_item, "B/item", "<= 10", per_item <= 10),
        row("trie opened is the trie saved", float(same), "", "1", same),
    ]


def shared_share(codes: np.ndarray) -> float:
    """Share of the items whose ID another one has."""
    _, group, sizes = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    return float((sizes[group.reshape(-1)] > 1).mean())


if __name__ == "__main__":
    main()
