"""The trie and the constraint alone: size, building, opening, and a step's time with a model that is free.

Does not know language models.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from benchmark_decoding_searches import seconds
from benchmark_decoding_shapes import SIZES, SMALL, SPEC, random_trie
from benchmark_training_results import Result, attempt
from benchmark_training_shapes import vocabulary_at_end
from torch import Tensor

from genrec.catalog import CatalogTrie
from genrec.decoding import TrieTables, trie_search
from genrec.decoding.item_constraints import ItemConstraints
from genrec.decoding.trie_walk import TokenWalk

Measure = Callable[[], list[Result]]


class FreeBackend:
    """A model that costs nothing: what is left of a search's time is constraint, top-k and bookkeeping."""

    def __init__(self, codes: int, width: int, device: torch.device | str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.logits = torch.randn(width, codes, generator=generator).to(device)
        self.device = device

    def head(self) -> FreeBackend:
        """Itself."""
        return self

    def rows(self, states: Tensor, token_ids: Tensor) -> Tensor:
        """Logits that were there already."""
        return self.logits[: len(states), : len(token_ids)]

    def log_normalizer(self, states: Tensor) -> Tensor:
        """The same for all."""
        return torch.full((len(states),), 9.0, device=self.device)

    def start(self, input_ids: Tensor, real: Tensor, capacity: int = 0) -> tuple[FreeBackend, Tensor]:
        """No prefill."""
        return self, torch.zeros(len(input_ids), 1, 1, device=self.device)

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """No step."""
        return torch.zeros(*tokens.shape, 1, device=self.device)

    def keep(self, prompts: Tensor) -> None:
        """Nothing to keep."""

    def truncate(self, rows: int) -> None:
        """Nothing to forget."""


def step_seconds(trie: CatalogTrie, batch: int, beams: int, device: str = "cpu", times: int = 30) -> float:
    """Median time of a step of the search around the model: constraint, top-k, bookkeeping, the result."""
    tables = TrieTables(trie, vocabulary_at_end(SPEC, SMALL.rows), device)
    backend = FreeBackend(max(SIZES), batch * beams, device)
    ids = torch.ones(batch, 1, dtype=torch.long, device=device)

    def search() -> None:
        walk = TokenWalk(backend, tables, "full", ids, ids.bool())
        constraints = ItemConstraints(trie, tables.levels, batch)
        trie_search.TrieSearch(walk, constraints, batch, beams, width=beams).run()

    search()
    return statistics.median(seconds(search)[1] for _ in range(times)) / trie.length


def _size(items: int) -> list[Result]:
    codes = random_trie(items).leaf_codes()[np.random.default_rng(0).permutation(items)]
    trie, built = seconds(lambda: CatalogTrie.from_codes(codes, SIZES))
    with tempfile.TemporaryDirectory() as folder:
        trie.save(Path(folder) / "trie")
        opened = seconds(lambda: CatalogTrie.load(Path(folder) / "trie"))[1]
    mask = np.random.default_rng(0).random(items) < 0.5
    name = f"trie of {items:,} random IDs of 4 codes"
    return [
        Result(f"{name}: bytes an item, catalog rows included", trie.num_bytes / items, "B", at_most=10.0),
        Result(f"{name}: built in", built, "s", at_most=5.0 if items == 10_000_000 else None),
        Result(f"{name}: opened in", opened, "s", at_most=0.1),
        Result(f"{name}: filter of half the items made in", seconds(lambda: trie.restrict(mask))[1], "s"),
    ]


def _steps(largest: int) -> list[Result]:
    found, taken = [], {}
    for items in (10_000, 1_000_000, largest):
        trie = random_trie(items)
        for batch, beams in ((1, 20), (1, 50), (32, 20)):
            taken[items, batch, beams] = step_seconds(trie, batch, beams)
            found.append(
                Result(
                    f"constraint and top-k a step, {items:,} items, b {batch}, W {beams}",
                    1000 * taken[items, batch, beams],
                    "ms",
                    at_most=0.5 if (batch, beams) == (1, 20) else None,
                )
            )
    growth = taken[largest, 1, 20] / taken[10_000, 1, 20]
    name = f"the same step, {largest:,} items / 10,000 items, b 1, W 20"
    return [*found, Result(name, growth, "x", at_most=2.0)]


def trie_rows(options: argparse.Namespace) -> Iterator[Measure]:
    """Size and speed up to 10M items; 1M with --quick."""
    largest = 1_000_000 if options.quick else 10_000_000
    for items in sorted({1_000_000, largest}):
        yield lambda items=items: attempt(f"trie of {items:,} items", _size, items)
    yield lambda: attempt("constraint a step", _steps, largest)
