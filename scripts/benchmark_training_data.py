"""Making training rows: rows a second, their share of a training step, memory of a million users.

Does not know the other parts of the benchmark.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_training_drawing import Recorder, seconds_a_row, seconds_of_drawing
from benchmark_training_results import Result, fresh_process, median_ratio, resident
from benchmark_training_shapes import catalog_of
from benchmark_training_text_rows import CHAT_TEMPLATE, TextRows
from transformers import PreTrainedTokenizerBase, TrainerCallback

from genrec.data import SyntheticWorld
from genrec.pipeline import build_ids, load_inputs
from genrec.pipeline.semantic_ids import load_catalog
from genrec.pipeline.trainer import build_trainer
from genrec.recipe import Recipe
from genrec.semantic_ids import SemanticIdSpec
from genrec.tasks import PromptBuilder, SeqRec, TaskMixture, TaskOptions, TokenRows
from genrec.tasks.building import TaskName
from genrec.vocabulary import SemanticIdVocabulary, train_text_tokenizer

SMALLEST = "quickstart"  # of the shipped recipes
SPEC = SemanticIdSpec((64, 64, 64))
WARM, STEPS = 10, 60
PARTS = 20  # of the rows that are timed in turn
HISTORY = 8  # interactions of each of the million users
FEW_USERS, READ = 10_000, 20_000
AT_MOST = 16.0  # MiB beyond the arrays


def chat_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerBase:
    """A text tokenizer with a chat template."""
    text_tokenizer = train_text_tokenizer(texts)
    text_tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    text_tokenizer.chat_template = CHAT_TEMPLATE
    return text_tokenizer


def rows_a_second(samples: int, items: int, users: int) -> list[Result]:
    """LC-Rec's six tasks on the synthetic shop: the same words to ids, by genrec and through text."""
    world = SyntheticWorld.generate(seed=0, num_items=items, num_users=users)
    catalog = catalog_of(world.items.canonical_ids, SPEC)
    train = world.interactions.leave_one_out().train
    text_tokenizer = chat_tokenizer(world.items.texts(("title", "description")))
    vocabulary = SemanticIdVocabulary.extend(text_tokenizer, catalog.spec)
    prompted: dict[TaskName, TaskOptions | None] = {"seqrec": TaskOptions(form="prompted")}
    mixture = TaskMixture.lc_rec(catalog, world.items, train, options=prompted)
    first_drawing = seconds_of_drawing(mixture, 0)
    drawing = float(np.median([seconds_of_drawing(mixture, epoch) for epoch in range(1, 4)]))
    recorder = Recorder(keep=True)
    for index in range(len(mixture)):
        mixture.row(index, 0, recorder)  # type: ignore[arg-type]
    gc.collect()
    gc.freeze()  # the collector is not to walk over rows that are kept for this benchmark alone
    builder = PromptBuilder.for_tokenizer(text_tokenizer, vocabulary)
    text_rows = TextRows(text_tokenizer, vocabulary)
    first, _ = seconds_a_row(builder, recorder.rows)
    chosen = np.random.default_rng(0).integers(len(mixture), size=samples).tolist()
    took, same = [], True
    for part in np.array_split(chosen, PARTS):  # in turn, so that a busy machine slows both
        some = [recorder.rows[index] for index in part]
        (later, ours), (by_text, theirs) = seconds_a_row(builder, some), seconds_a_row(text_rows, some)
        took.append((drawing + by_text, drawing + later))
        for (a, _), (b, _) in zip(ours, theirs, strict=True):
            same &= text_tokenizer.decode(a).strip() == text_tokenizer.decode(b).strip()
    by_text, later = np.median(took, axis=0).tolist()
    ratio, first = median_ratio(*zip(*took, strict=True)), first_drawing + first
    name = f"rows of LC-Rec's six tasks, {len(mixture):,} an epoch"
    return [
        Result(f"{name}: chat template + text tokenizer, as trl", 1 / by_text, "rows/s"),
        Result(f"{name}: genrec, first epoch", 1 / first, "rows/s", note="each text is new once"),
        Result(f"{name}: genrec, later epochs", 1 / later, "rows/s"),
        Result(f"{name}: genrec / trl, first epoch", (first_drawing + by_text - drawing) / first, "x"),
        Result(f"{name}: genrec / trl, later epochs", ratio, "x", at_least=5.0, identical=same),
        Result(f"{name}: drawing what they say, first epoch, part of these", 1 / first_drawing, "rows/s"),
        Result(f"{name}: drawing what they say, later epochs, part of these", 1 / drawing, "rows/s"),
    ]


class Clock(TrainerCallback):
    """Seconds of making rows and batches, and of whole steps, after the first ones.

    Args:
        rows: What the data loader reads.
        collate: What makes a batch of them.
    """

    def __init__(self, rows: TokenRows, collate: Any) -> None:
        self.rows, self.inner, self.data = rows, collate, 0.0
        self.began = 0.0

    def __len__(self) -> int:
        """Rows an epoch."""
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """A row, timed."""
        began = time.perf_counter()
        row = self.rows[index]
        self.data += time.perf_counter() - began
        return row

    def __call__(self, rows: list[dict[str, np.ndarray]]) -> Any:
        """Makes a batch, timed."""
        began = time.perf_counter()
        batch = self.inner(rows)
        self.data += time.perf_counter() - began
        return batch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts after the first steps and adds up until the last."""
        if state.global_step == WARM:
            self.data, self.began = 0.0, time.perf_counter()
        self.whole = time.perf_counter() - self.began


def share_of_a_step(overrides: Sequence[str]) -> list[Result]:
    """Data time of the smallest shipped recipe, in the process that trains."""
    recipe = Recipe.load(SMALLEST, [*overrides, f"align.max_steps={WARM + STEPS}"])
    inputs = load_inputs(recipe)
    build_ids(recipe, inputs)
    with tempfile.TemporaryDirectory() as output:
        trainer = build_trainer(recipe, inputs, load_catalog(recipe), Path(output))
        clock = Clock(trainer.train_dataset, trainer.data_collator)
        trainer.train_dataset, trainer.data_collator = clock, clock
        trainer.add_callback(clock)
        trainer.train()
    name = f"data time of a step, {SMALLEST} ({recipe.align.batch_size} rows)"
    return [Result(name, 100 * clock.data / clock.whole, "%", at_most=5.0)]


def memory_of(users: int) -> tuple[float, float]:
    """MiB that a mixture of so many users takes, its rows read, and the part of it that are arrays."""
    rng = np.random.default_rng(0)
    catalog = catalog_of([f"item{number:05d}" for number in range(10_000)], SPEC)
    text_tokenizer = train_text_tokenizer(["a few words"])
    vocabulary = SemanticIdVocabulary.extend(text_tokenizer, catalog.spec)
    builder = PromptBuilder.for_tokenizer(text_tokenizer, vocabulary)
    items = rng.integers(len(catalog), size=users * HISTORY, dtype=np.int32)
    offsets = np.arange(0, len(items) + 1, HISTORY)
    before = resident()
    task = SeqRec(catalog.codes, items, offsets)
    rows = TokenRows(TaskMixture(catalog, [task]), builder)
    for index in rng.integers(users, size=READ).tolist():
        _ = rows[index]
    arrays = task.starts.nbytes + task.lengths.nbytes
    return resident() - before, arrays / 2**20


def memory_of_users(users: int) -> list[Result]:
    """What users cost beyond the arrays that hold them, each number from a process of its own."""
    fewer, _ = fresh_process(memory_of, FEW_USERS)
    whole, arrays = fresh_process(memory_of, users)
    name = f"memory of {users:,} users, {READ:,} rows read"
    return [
        Result(f"{name}: arrays of the task", arrays, "MiB"),
        Result(f"{name}: beyond the arrays", whole - arrays, "MiB", at_most=AT_MOST),
        Result(f"memory of {FEW_USERS:,} users, {READ:,} rows read", fewer, "MiB"),
    ]


def measure(overrides: Sequence[str], users: int, samples: int, items: int, buyers: int) -> list[Result]:
    """All of it.

    Args:
        overrides: Of the smallest recipe, its output folder among them.
        users: Whose rows are held against memory.
        samples: Rows that are built through text as well.
        items: Of the shop whose rows are built.
        buyers: Users of that shop.
    """
    rows = rows_a_second(samples, items, buyers)
    return [*rows, *share_of_a_step(overrides), *memory_of_users(users)]
