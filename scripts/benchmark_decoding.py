"""Benchmark of decoding: our constrained search against transformers' generate, and what the search costs.

    python scripts/benchmark_decoding.py [--quick] [--json FILE] [--only PART ...] [--seconds LIMIT]
    python scripts/benchmark_decoding.py --only trained --checkpoint outputs/amazon-scientific/bundle \
        --interactions data/amazon-scientific/interactions.csv.gz

Both sides run in one process in turn, on the same prompts, model and threads; random weights unless a
checkpoint is given. Parts: `small` (8 layers of width 512, 153k tokens, 1M items), `qwen` (the shape of
Qwen2.5-0.5B), `t5` (TIGER's), `trie` (building, opening, constraint per step, 10k to 10M items), `requests`
(filters, exact lists, requests a second, slots), `trained` (a saved recommender and its test users) and
`cuda` (shapes of 0.5B and 7B in bfloat16). The table and the JSON are written after every row.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers
from benchmark_decoding_cuda import cuda_rows
from benchmark_decoding_ratios import qwen_rows, small_rows, t5_rows
from benchmark_decoding_requests import request_rows
from benchmark_decoding_trained import trained_rows
from benchmark_decoding_trie import trie_rows
from benchmark_training_results import Result, table, write_json

PARTS = {
    "small": small_rows,
    "t5": t5_rows,
    "trie": trie_rows,
    "requests": request_rows,
    "qwen": qwen_rows,
    "trained": trained_rows,
    "cuda": cuda_rows,
}


def main() -> None:
    """Runs the parts, prints a row when it is there and the table at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three minutes: fewer repeats, smaller shapes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="default: what this machine can do")
    parser.add_argument("--times", type=int, help="pairs a row; default 3, with --quick 1")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no row after this time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, help="a saved recommender, for the part `trained`")
    parser.add_argument("--interactions", type=Path, help="its interactions, split leave-one-out")
    parser.add_argument("--users", type=int, help="test users; default 1,000, with --quick 100")
    options = parser.parse_args()
    options.times = options.times or (1 if options.quick else 3)
    options.users = options.users or (100 if options.quick else 1000)
    if (options.checkpoint is None) != (options.interactions is None):
        parser.error("--checkpoint and --interactions go together")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    began, results = time.perf_counter(), []
    for result in rows(options, began):
        results.append(result)
        words = "" if result.met is None else ("met" if result.met else "missed")
        print(
            f"{time.perf_counter() - began:6.0f} s  {result.name}: {result.value:.4g} {result.unit} "
            f"{result.goal} {words} {result.note}",
            flush=True,
        )
        if options.json is not None:
            write_json(options.json, results, facts(options))
    print("\n" + table(results))


def rows(options: argparse.Namespace, began: float) -> Iterator[Result]:
    """The rows of all parts, each made when it is asked for."""
    chosen = options.only
    if chosen is None:
        chosen = [part for part in PARTS if part not in ("cuda", "trained")]
        chosen += ["trained"] if options.checkpoint is not None else []
        chosen = ["cuda"] if torch.cuda.is_available() else chosen
    for part in chosen:
        for measure in PARTS[part](options):
            if time.perf_counter() - began > options.seconds:
                return
            yield from measure()


def facts(options: argparse.Namespace) -> dict[str, object]:
    """Machine, versions, options."""
    return {
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": options.threads,
        "quick": options.quick,
        "times": options.times,
    }


if __name__ == "__main__":
    main()
