"""Our search against transformers' generate on models of three shapes, on the CPU.

Does not know how either side works.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator

from benchmark_decoding_searches import paired
from benchmark_decoding_shapes import (
    QWEN_05B,
    SMALL,
    DecoderShape,
    prompts,
    random_trie,
    tiger,
    vocabulary_of,
)
from benchmark_training_results import Result, attempt

from genrec.decoding import ConstrainedBeamSearch

Measure = Callable[[], list[Result]]
# normaliser, prompts, tokens of each, beams, goal
SMALL_ROWS = (
    ("full", 1, 512, 20, 15.0),
    ("full", 1, 512, 50, 35.0),
    ("full", 8, 128, 20, 15.0),
    ("level", 1, 512, 20, 25.0),
    ("level", 1, 512, 50, 60.0),
)


@functools.cache
def _decoder(shape: DecoderShape) -> object:
    return shape.model()


@functools.cache
def _trie(items: int) -> object:
    return random_trie(items)


def ratio(
    name: str,
    model: object,
    items: int,
    row: tuple[str, int, int, int, float | None],
    times: int,
) -> list[Result]:
    """One row of the table."""
    normalize, batch, length, beams, goal = row
    vocabulary = vocabulary_of(model)
    search = ConstrainedBeamSearch(model, _trie(items), vocabulary, normalize=normalize, num_beams=beams)
    ids, mask = prompts(batch, length, model.config.vocab_size - 2000)
    pair = paired(search, ids, mask, vocabulary, times)
    share = "" if pair.identical is not None else f"; {pair.share:.0%} of its items"
    return [Result(name, pair.ratio, "x", goal, identical=pair.identical, note=pair.note + share)]


def small_rows(options: argparse.Namespace) -> Iterator[Measure]:
    """The small model with a large vocabulary: 8 layers of width 512, 153k tokens, 1M items."""
    chosen = SMALL_ROWS if not options.quick else (SMALL_ROWS[0], SMALL_ROWS[2], SMALL_ROWS[3])
    for row in chosen:
        name = f"{row[0]}, {SMALL.name}, 1M items, b {row[1]}, P {row[2]}, W {row[3]}"
        yield lambda row=row, name=name: attempt(
            name, ratio, name, _decoder(SMALL), 1_000_000, row, options.times
        )


def qwen_rows(options: argparse.Namespace) -> Iterator[Measure]:
    """The shape of Qwen2.5-0.5B; with --quick on shorter prompts."""
    length = 64 if options.quick else 512
    name = f"full, {QWEN_05B.name}, 1M items, b 1, P {length}, W 20"
    goal = None if options.quick else 12.0
    row = ("full", 1, length, 20, goal)
    yield lambda: attempt(name, ratio, name, _decoder(QWEN_05B), 1_000_000, row, min(options.times, 2))


def t5_rows(options: argparse.Namespace) -> Iterator[Measure]:
    """A T5 of TIGER's size, 10k items."""
    model = tiger()
    for batch, goal in ((1, 6.0), (8, None), (32, 12.0)):
        name = f"full, T5 of TIGER's size, 10k items, b {batch}, P 80, W 20"
        row = ("full", batch, 80, 20, goal)
        yield lambda name=name, row=row: attempt(name, ratio, name, model, 10_000, row, 2 * options.times + 1)
