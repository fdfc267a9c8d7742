"""What requests cost: filters, exact lists, many prompts at once, and the slots of keys and values they take.

Does not know transformers' side.
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from benchmark_decoding_searches import seconds
from benchmark_decoding_shapes import SMALL, prompts, random_trie, vocabulary_of
from benchmark_decoding_trie import step_seconds
from benchmark_training_results import Result, attempt
from torch import Tensor

from genrec.decoding import ConstrainedBeamSearch, GroupLimit

Measure = Callable[[], list[Result]]
ITEMS, LENGTH, BEAMS, K = 1_000_000, 128, 20, 10


@functools.cache
def _setting() -> ConstrainedBeamSearch:
    model = SMALL.model()
    trie = random_trie(ITEMS)
    return ConstrainedBeamSearch(model, trie, vocabulary_of(model), normalize="level", num_beams=BEAMS)


def _in_turn(times: int, *searches: Callable[[], Any]) -> list[list[float]]:
    taken: list[list[float]] = [[] for _ in searches]
    for turn in range(times + 1):
        for place, search in enumerate(searches):
            one = seconds(search)[1]
            if turn:
                taken[place].append(one)
    return taken


def _filters(times: int) -> list[Result]:
    search, generator = _setting(), np.random.default_rng(0)
    ids, mask = prompts(1, LENGTH, SMALL.rows)
    half = generator.random(ITEMS) < 0.5
    wishes: dict[str, dict[str, Any]] = {
        "none": {},
        "a filter of half the items, made before": {"allowed": search.trie.restrict(half)},
        "a filter of half the items, made in the request": {"allowed": half},
        "a filter of 1,000 items": {"allowed": search.trie.restrict(np.arange(ITEMS) < 1000)},
        "50 items excluded": {"exclude": [range(50)]},
        "a bonus for every item, made before": {"bonus": search.trie.bonus(generator.normal(size=ITEMS))},
        "at most 2 of each of 10,000 brands": {
            "limit": GroupLimit(generator.integers(10_000, size=ITEMS), 2)
        },
    }
    search.trie.leaf_of_row  # noqa: B018 - made once, as a server would
    calls = [lambda wish=wish: search.search(ids, mask, K, **wish) for wish in wishes.values()]
    plain, *others = _in_turn(times, *calls)
    setting = f"level, {SMALL.name}, 1M items, b 1, P {LENGTH}, W {BEAMS}"
    found = []
    for name, taken in zip(list(wishes)[1:], others, strict=True):
        ratio = statistics.median(a / b for a, b in zip(taken, plain, strict=True))
        found.append(Result(f"request with {name} / without, {setting}", ratio, "x"))
    return found


class Recording:
    """A backend that remembers its last search."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.head = backend.head

    def start(self, input_ids: Tensor, real: Tensor, capacity: int = 0) -> tuple[Any, Tensor]:
        """As the backend, remembered."""
        self.steps, states = self.backend.start(input_ids, real, capacity)
        return self.steps, states


def _throughput(times: int) -> list[Result]:
    search = _setting()
    found = []
    for batch in (1, 8, 32):
        ids, mask = prompts(batch, LENGTH, SMALL.rows)
        taken = _in_turn(times, lambda ids=ids, mask=mask: search.search(ids, mask, K))[0]
        name = f"requests a second, level, {SMALL.name}, 1M items, b {batch}, P {LENGTH}, W {BEAMS}"
        found.append(Result(name, batch / statistics.median(taken), "/s"))
        if batch == 1:
            share = search.trie.length * step_seconds(search.trie, 1, BEAMS) / statistics.median(taken)
            name = f"constraint and top-k, share of that request, b 1, P {LENGTH}"
            found.append(Result(name, 100 * share, "%", at_most=1.0))
    backend = search.backend
    try:
        search.backend = recording = Recording(backend)
        search.search(*prompts(1, LENGTH, SMALL.rows), K)
    finally:
        search.backend = backend
    slots = recording.steps.layers[0].keys.shape[-2]
    most = LENGTH + (search.trie.length - 1) * BEAMS
    name = f"slots of keys and values a prompt, P {LENGTH}, W {BEAMS} (P + 3 W)"
    return [*found, Result(name, slots, "", at_most=float(most))]


def request_rows(options: argparse.Namespace) -> Iterator[Measure]:
    """Filters on, requests a second, slots."""
    times = 3 if options.quick else 7
    yield lambda: attempt("filters", _filters, times)
    yield lambda: attempt("requests a second", _throughput, times)
