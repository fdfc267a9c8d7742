"""`check`: what a recipe will cost, before anything is spent.

Does not know how to train: it counts, builds the trainer once and times a few of its steps.
"""

from __future__ import annotations

import math
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.semantic_ids import catalog_for_a_look
from genrec.pipeline.trainer import build_trainer
from genrec.recipe import Recipe
from genrec.training import AlignmentTrainer
from genrec.vocabulary import SemanticIdVocabulary

TIMED_STEPS = 3
COUNTED_ROWS = 4096


@dataclass(frozen=True)
class Estimate:
    """What `check` found.

    Attributes:
        items: Items of the catalog.
        users: Users of the log.
        interactions: Interactions of the log.
        time_kind: `absolute` or `order`.
        validation_cases: Cases of the validation split.
        test_cases: Cases of the test split.
        tasks: Task name -> rows an epoch.
        training_rows: Rows an epoch, all tasks together (in packed `seqrec`: users).
        tokens_per_epoch: Tokens of these rows, padding left out; with more than 4,096 rows an estimate.
        targets_per_epoch: Items predicted in an epoch.
        codebook_sizes: Positions of the Semantic IDs.
        reserved_tokens: Tokens reserved for them.
        steps: Optimiser steps when training is not stopped early.
        trained_parameters: Weights that training changes.
        seconds_per_step: Measured here, over a few steps.
        training_minutes: Steps times that; validations come on top.
        memory_gib: Peak of this process after those steps, plus the optimiser's and the average's copies.
    """

    items: int
    users: int
    interactions: int
    time_kind: str
    validation_cases: int
    test_cases: int
    tasks: dict[str, int]
    training_rows: int
    tokens_per_epoch: int
    targets_per_epoch: int
    codebook_sizes: tuple[int, ...]
    reserved_tokens: int
    steps: int
    trained_parameters: int
    seconds_per_step: float
    training_minutes: float
    memory_gib: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check(recipe: Recipe, inputs: Inputs | None = None) -> Estimate:
    """Reads the data, builds the model and estimates what `align` will take."""
    inputs = inputs or load_inputs(recipe)
    catalog, _ = catalog_for_a_look(recipe, inputs)
    if recipe.align.threads:
        torch.set_num_threads(recipe.align.threads)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = build_trainer(recipe, inputs, catalog, Path(scratch), unwritten="attributes")
        seconds = _seconds_per_step(trainer)
    mixture, section = trainer.mixture, recipe.align
    steps = section.max_steps
    if steps <= 0:
        steps = math.ceil(len(mixture) // section.batch_size * section.epochs)
    parameters = sum(p.numel() for p in _trained(trainer))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    copies = 2 + (1 if section.ema_decay else 0)  # Adam's two moments, the average
    return Estimate(
        items=len(inputs.items),
        users=len(inputs.log.user_ids),
        interactions=len(inputs.log),
        time_kind=inputs.log.time_kind,
        validation_cases=len(inputs.split.validation),
        test_cases=len(inputs.split.test),
        tasks={task.name: int(count) for task, count in zip(mixture.tasks, mixture.counts, strict=True)},
        training_rows=len(mixture),
        tokens_per_epoch=_tokens(trainer),
        targets_per_epoch=mixture.num_targets,
        codebook_sizes=tuple(catalog.spec.codebook_sizes),
        reserved_tokens=len(SemanticIdVocabulary.tokens(catalog.spec)),
        steps=steps,
        trained_parameters=parameters,
        seconds_per_step=seconds,
        training_minutes=steps * seconds / 60,
        memory_gib=peak + copies * parameters * 4 / 2**30,
    )


def _trained(trainer: AlignmentTrainer) -> list[nn.Parameter]:
    return [p for p in cast(nn.Module, trainer.model).parameters() if p.requires_grad]


def _tokens(trainer: AlignmentTrainer) -> int:
    """Tokens of an epoch: counted where there are few rows, else estimated from rows spread over all."""
    total = len(trainer.mixture)
    chosen = np.unique(np.linspace(0, total - 1, num=min(total, COUNTED_ROWS), dtype=np.int64))
    lengths = [len(trainer.rows[int(index)]["input_ids"]) for index in chosen]
    return round(sum(lengths) * total / len(chosen))


def _seconds_per_step(trainer: AlignmentTrainer) -> float:
    """Median seconds of an optimiser step, over a few steps that change nothing."""
    optimizer, took = torch.optim.AdamW(_trained(trainer), lr=0.0, weight_decay=0.0), []
    batches = iter(trainer.get_train_dataloader())
    passes = trainer.args.gradient_accumulation_steps
    for _ in range(1 + TIMED_STEPS):
        batch = next(batches, None)
        if batch is None:
            break
        began = time.perf_counter()
        trainer.compute_loss(cast(nn.Module, trainer.model), batch).backward()
        optimizer.step()
        optimizer.zero_grad()
        took.append((time.perf_counter() - began) * passes)
    return float(np.median(took[1:] or took))
