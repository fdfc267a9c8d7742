"""Measures what training costs, against plain trl and peft, and prints a table.

    python scripts/benchmark_training.py --quick --json quick.json
    python scripts/benchmark_training.py --only convergence --recipe amazon-scientific --seeds 0 1 2
    python scripts/benchmark_training.py --only convergence --keep runs --run prefix --most-tokens 1e7 ...

Ratios are taken within one run. The goals hold for the full sizes; `--quick` (about 3 minutes) shows that
everything runs, on the synthetic shop and on small shapes.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import benchmark_training_adapters as adapters
import benchmark_training_convergence as convergence
import benchmark_training_data as data
import benchmark_training_lora as lora
import benchmark_training_loss as loss
import torch
from benchmark_training_results import Result, facts_of_machine, table, write_json
from benchmark_training_shapes import Shape

PARTS = ("convergence", "lora", "loss", "adapters", "lora-large", "data")
QUICK = ("data.num_items=200", "data.num_users=400", "align.patience=1", "align.validation_users=200")


def main() -> int:
    """Measures the parts asked for and prints their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides of the recipe")
    parser.add_argument("--quick", action="store_true", help="small sizes, on the synthetic shop")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure, in this order"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go as JSON")
    parser.add_argument("--recipe", default="quickstart", help="whose data and model convergence takes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of convergence")
    parser.add_argument("--every", type=int, default=50, help="steps between validations of convergence")
    parser.add_argument("--budget", type=float, default=6, help="tokens of the baseline / of packed rows")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="limit of a run of convergence")
    parser.add_argument("--most-tokens", type=float, help="limit of every run, in place of --budget")
    parser.add_argument("--run", choices=convergence.RUNS, help="this run of convergence alone, into --keep")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="finished runs of convergence, for again")
    parser.add_argument(
        "--full-softmax", action="store_true", help="packed rows with plain cross-entropy, too"
    )
    parser.add_argument("--layers", type=int, default=28, help="of the model of adapters")
    parser.add_argument("--times", type=int, default=5, help="pairs of steps of adapters")
    parser.add_argument("--tokens", type=int, help="tokens a step of adapters and loss")
    parser.add_argument("--histories", type=int, nargs="+", default=[128, 512], help="rows a step of lora")
    parser.add_argument("--large-histories", type=int, default=96, help="rows a step of lora-large")
    parser.add_argument("--users", type=int, help="users whose rows are held against memory")
    given = parser.parse_intermixed_args()
    if given.run and given.keep is None:
        parser.error("--run keeps its run for a comparison later: name a folder with --keep")
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    logging.getLogger("benchmark").setLevel(logging.INFO)
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in parts(given, folder):
            results += part()
            if given.json:  # a run that is stopped keeps what it has
                write_json(given.json, results, {"arguments": sys.argv[1:], **facts_of_machine()})
    sys.stdout.write(table(results))
    return 0


def parts(given: argparse.Namespace, folder: str) -> Iterator[Callable[[], list[Result]]]:
    """What is to be measured, one after the other."""
    overrides = [f"output_dir={folder}", *(QUICK if given.quick else ()), *given.overrides]
    on_gpu = torch.accelerator.is_available()
    for part in given.only:
        if part == "convergence":
            yield lambda: convergence.measure(
                given.recipe,
                overrides,
                given.seeds,
                every_steps=given.every,
                budget=1.5 if given.quick else given.budget,
                full_softmax=given.full_softmax,
                minutes=given.minutes,
                kept=given.keep,
                alone=given.run,
                most_tokens=given.most_tokens,
            )
        elif part == "adapters":
            shape = Shape(2, 256, 16_000) if given.quick else Shape(given.layers)
            yield partial(adapters.measure, shape, given.tokens or 4096, given.times)
        elif part == "loss":
            width = 128 if given.quick else 1024 if on_gpu else 256
            yield partial(loss.measure, given.tokens or (256 if given.quick else 4096), width)
        elif part == "lora" and given.quick:
            yield partial(lora.measure, "tiny", lora.TINY, 8)
        elif part == "lora" and on_gpu:
            for batch in given.histories:  # the first, in which the host is the bound, twice
                yield partial(lora.measure, "0.5B", lora.HALF, batch, 2 if batch == given.histories[0] else 1)
        elif part == "lora-large" and on_gpu and not given.quick:
            yield partial(lora.measure, "7B", lora.SEVEN, given.large_histories)
        elif part == "data":
            users = given.users or (50_000 if given.quick else 1_000_000)
            shop = [f"output_dir={folder}", *(overrides[1:] if given.quick else ())]
            sizes = (300, 200, 400) if given.quick else (3000, 1000, 3000)
            yield partial(data.measure, shop, users, *sizes)


if __name__ == "__main__":
    sys.exit(main())
