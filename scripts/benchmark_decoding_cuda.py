"""The search on a GPU in bfloat16: shapes of 0.5B and 7B, against generate and against beams without a trie.

Does not know how either side works. The most telling rows come first, as time on a GPU may run out.
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from benchmark_decoding_searches import Pair, paired, seconds, unconstrained
from benchmark_decoding_shapes import QWEN_05B, QWEN_7B, DecoderShape, prompts, random_trie, vocabulary_of
from benchmark_decoding_trie import step_seconds
from benchmark_training_results import Result, attempt

from genrec.decoding import ConstrainedBeamSearch

Measure = Callable[[], list[Result]]
ITEMS, LENGTH = 1_000_000, 512
# shape, prompts, beams, whether beside generate, whose keys and values fit up to 1,024 rows; 0.5B first
CASES = (
    (QWEN_05B, 1, 20, True),
    (QWEN_05B, 32, 20, True),
    (QWEN_05B, 1, 50, True),
    (QWEN_05B, 1, 256, True),
    (QWEN_05B, 32, 50, False),
    (QWEN_05B, 32, 256, False),
    (QWEN_7B, 32, 20, True),
    (QWEN_7B, 1, 20, True),
    (QWEN_7B, 1, 50, True),
    (QWEN_7B, 1, 256, True),
    (QWEN_7B, 32, 50, False),
    (QWEN_7B, 32, 256, False),
)


class Setting:
    """One model at a time on the GPU: the one before makes room."""

    shape: DecoderShape | None = None
    model: Any = None

    @classmethod
    def of(cls, shape: DecoderShape) -> Any:
        """The model of a shape."""
        if cls.shape != shape:
            cls.model = None
            torch.cuda.empty_cache()
            cls.model, cls.shape = shape.model("cuda", torch.bfloat16), shape
        return cls.model


@functools.cache
def _trie() -> Any:
    return random_trie(ITEMS)


def _search(shape: DecoderShape, normalize: Any, batch: int, beams: int) -> tuple[Any, Any, Any, Any]:
    model = Setting.of(shape)
    vocabulary = vocabulary_of(model)
    search = ConstrainedBeamSearch(model, _trie(), vocabulary, normalize=normalize, num_beams=beams)
    return search, vocabulary, *prompts(batch, LENGTH, shape.rows, "cuda")


def _generate(shape: DecoderShape, batch: int, beams: int, times: int) -> list[Result]:
    search, vocabulary, ids, mask = _search(shape, "full", batch, beams)
    pair: Pair = paired(search, ids, mask, vocabulary, times)
    note = f"{pair.note}; {pair.share:.0%} of its items, bfloat16"
    return [Result(f"full, {shape.name}, b {batch}, P {LENGTH}, W {beams}", pair.ratio, "x", note=note)]


def _overhead(shape: DecoderShape, batch: int, beams: int, times: int) -> list[Result]:
    search, _, ids, mask = _search(shape, "full", batch, beams)
    with_trie, without = [], []
    for turn in range(times + 1):
        ours = seconds(lambda: search.search(ids, mask, beams))[1]
        free = seconds(lambda: unconstrained(search, ids, mask))[1]
        if turn:  # the first call makes ready what later ones find
            with_trie.append(ours)
            without.append(free)
    ratio = statistics.median(a / b for a, b in zip(with_trie, without, strict=True))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    search.search(ids, mask, beams)
    peak = (torch.cuda.max_memory_allocated() - before) / 2**20
    name = f"{shape.name}, b {batch}, P {LENGTH}, W {beams}"
    taken = [1000 * statistics.median(side) for side in (with_trie, without)]
    note = f"{taken[0]:.4g} ms a request, {taken[1]:.4g} without"
    return [
        Result(f"constraint's share, {name}", 100 * (ratio - 1), "%", at_most=1.0, note=note),
        Result(f"requests a second, {name}", batch / statistics.median(with_trie), "/s"),
        Result(f"peak memory above the model, {name}", peak, "MiB"),
    ]


def _steps() -> list[Result]:
    found = []
    for batch, beams in ((1, 20), (1, 256), (32, 20), (32, 256)):
        taken = step_seconds(_trie(), batch, beams, "cuda", 20)
        name = f"constraint, top-k and bookkeeping a step alone, b {batch}, W {beams}"
        found.append(Result(name, 1e6 * taken, "us", note="with a model that is free; host time included"))
    return found


def cuda_rows(options: argparse.Namespace) -> Iterator[Measure]:
    """The constraint alone, then all cases."""
    times = max(options.times, 5)
    yield lambda: attempt("constraint a step", _steps)
    for shape, batch, beams, beside in CASES:
        case = f"{shape.name}, b {batch}, W {beams}"
        name = f"constraint's share, {case}"
        yield functools.partial(attempt, name, _overhead, shape, batch, beams, times)
        if beside:
            one = 1 if batch > 1 else 2
            yield functools.partial(attempt, f"full, {case}", _generate, shape, batch, beams, one)
