"""Tokens a second and memory of LoRA: genrec's trainer against plain trl on the same histories.

Both get the same rows a step, in bfloat16, without activation checkpointing. trl pads them (grouped by
length) and trains the adapters alone; genrec packs them and trains the rows of 1,024 new tokens beside the
adapters. Tokens are those of the rows, without padding. The first steps, in which kernels are prepared for
each shape of a batch, are not timed. Does not know the other parts of the benchmark.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

import numpy as np
import torch
from benchmark_training_results import (
    Result,
    apart,
    attempt,
    device,
    median_ratio,
    memory,
    reset_peak,
    synchronised,
)
from benchmark_training_shapes import Shape, catalog_of, tokens_of, vocabulary_at_end
from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from genrec.semantic_ids import SemanticIdSpec
from genrec.tasks import PromptBuilder, SeqRec, TaskMixture, TokenRows
from genrec.training import AlignmentConfig, AlignmentTrainer
from genrec.vocabulary import train_text_tokenizer

SPEC = SemanticIdSpec((277, 277, 277))  # 1,024 tokens with the terminator and the user codes
HALF = Shape(24, 896, 151_936, heads=14, kv_heads=2, head_dim=64, intermediate=4864)
SEVEN = Shape(28, 3584, 152_064, heads=28, kv_heads=4, head_dim=128, intermediate=18_944, tied=False)
TINY = Shape(2, 64, 2_000, heads=4, kv_heads=2, head_dim=16, intermediate=128)
RANK, ALPHA = 16, 32
WARM, STEPS = 12, 12
ITEMS, SHORTEST, LONGEST = 10_000, 3, 21  # of the catalog; items of a history


class Pace(TrainerCallback):
    """Counts the tokens of every batch and times the steps after the first ones.

    Args:
        collate: The trainer's own collator.
    """

    def __init__(self, collate: Any) -> None:
        self.collate, self.batches = collate, []
        self.began = self.ended = 0.0

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        """Counts a batch and collates it."""
        self.batches.append(sum(len(row["input_ids"]) for row in rows))
        return self.collate(rows)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Reads the clock after the first steps and after the last."""
        if state.global_step in (WARM, WARM + STEPS):
            synchronised()
            self.began, self.ended = self.ended, time.perf_counter()

    @property
    def tokens_a_second(self) -> float:
        """Over the timed steps."""
        return sum(self.batches[WARM : WARM + STEPS]) / (self.ended - self.began)


def run(which: str, shape: Shape, batch: int) -> tuple[float, float]:
    """Tokens a second, and MiB at the peak of training with the model, of one trainer."""
    before = memory() if torch.accelerator.is_available() else 0.0
    rng = np.random.default_rng(0)
    catalog = catalog_of([f"item{number:05d}" for number in range(ITEMS)], SPEC)
    users = batch * (WARM + STEPS + 1)
    offsets = np.cumsum([0, *rng.integers(SHORTEST, LONGEST + 1, size=users)])
    items = rng.integers(ITEMS, size=offsets[-1], dtype=np.int32)
    mixture = TaskMixture(catalog, [SeqRec(catalog.codes, items, offsets)])
    vocabulary = vocabulary_at_end(SPEC, shape.rows)
    text_tokenizer = train_text_tokenizer(["a few words"])
    network = shape.model(tokens_of(SPEC), device())
    on_gpu = torch.accelerator.is_available()
    reset_peak()
    with tempfile.TemporaryDirectory() as folder:
        arguments = {
            "output_dir": folder,
            "max_steps": WARM + STEPS,
            "per_device_train_batch_size": batch,
            "learning_rate": 1e-4,
            "bf16": on_gpu,
            "activation_checkpointing": False,
            "max_length": None,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "logging_steps": 10**6,
            "use_cpu": not on_gpu,
        }
        trainer: Any
        if which == "genrec":
            trainer = AlignmentTrainer(
                model=network,
                text_tokenizer=text_tokenizer,
                vocabulary=vocabulary,
                train_dataset=mixture,
                args=AlignmentConfig(**arguments, lora_r=RANK, lora_alpha=ALPHA),
            )
        else:
            rows = TokenRows(mixture, PromptBuilder.for_tokenizer(text_tokenizer, vocabulary))
            read = [rows[index] for index in range(users)]
            trainer = SFTTrainer(
                model=network,
                processing_class=text_tokenizer,
                train_dataset=Dataset.from_dict(
                    {name: [row[name].tolist() for row in read] for name in ("input_ids", "labels")}
                ),
                args=SFTConfig(**arguments, train_sampling_strategy="group_by_length"),
                peft_config=LoraConfig(
                    task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear"
                ),
            )
        pace = trainer.data_collator = Pace(trainer.data_collator)
        trainer.add_callback(pace)
        trainer.train()
    return pace.tokens_a_second, memory(peak=True) - before


def both(name: str, shape: Shape, batch: int, rounds: int) -> list[Result]:
    """The two trainers in turn, apart from each other; medians of the rounds."""
    pairs = [[apart(run, which, shape, batch) for which in ("trl", "genrec")] for _ in range(rounds)]
    measured = np.array(pairs)  # [rounds, trainers, tokens/s and MiB]
    (theirs, their_peak), (ours, our_peak) = np.median(measured, axis=0).tolist()
    ratio = median_ratio(*measured[:, ::-1, 0].T.tolist())
    note = f"median of {rounds}" if rounds > 1 else ""
    return [
        Result(f"{name}: plain trl", theirs, "tokens/s", note=note),
        Result(f"{name}: genrec", ours, "tokens/s", note=note),
        Result(f"{name}: genrec / trl", ratio, "x", note="rows of new tokens are trained as well"),
        Result(f"{name}: peak, plain trl", their_peak, "MiB", note="model included"),
        Result(f"{name}: peak, genrec", our_peak, "MiB", note="model included"),
        Result(f"{name}: peak, genrec / trl", our_peak / their_peak, "x"),
    ]


def measure(size: str, shape: Shape, batch: int, rounds: int = 1) -> list[Result]:
    """One shape, `batch` rows a step."""
    name = f"LoRA r {RANK} of the {size} shape, {batch} histories a step"
    return attempt(name, both, name, shape, batch, rounds)
