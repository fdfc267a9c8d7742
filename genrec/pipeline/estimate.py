"""`check`: what a recipe will cost, before anything is spent.

Does not know how to train: it counts, builds the trainer once and times a few of its steps.
"""

from __future__ import annotations

import resource
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from genrec.catalog import Catalog
from genrec.data import canonical_order
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.item_level import training_arguments, untrained_model
from genrec.pipeline.semantic_ids import catalog_for_a_look
from genrec.pipeline.trainer import build_trainer
from genrec.recipe import Recipe
from genrec.tasks import ItemSequences
from genrec.training import AlignmentTrainer, ItemTrainer
from genrec.training.residual_dropout import add_residual_dropout
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
        tokens_per_epoch: Tokens of these rows, padding left out; with more than 4,096 rows an estimate. For
            an item-level generator positions, one an item.
        targets_per_epoch: Items predicted in an epoch.
        codebook_sizes: Positions of the Semantic IDs.
        reserved_tokens: Tokens reserved for them; an item-level generator has none.
        steps: Optimiser steps when training is not stopped early.
        trained_parameters: Weights that training changes.
        seconds_per_step: Measured here, over a few steps.
        training_minutes: Steps times that; validations come on top, and the passes over the item texts that
            `model.text_epochs` asks for.
        memory_gib: Peak after those steps, the optimiser's moments among it, plus the average's copy: of a
            CUDA device where there is one, else of this process.
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
    """Reads the data, builds the model and estimates what `align` will take.

    A base that `model.text_epochs` asks for is not trained: it counts with its shape alone.
    """
    inputs = inputs or load_inputs(recipe)
    catalog, _ = catalog_for_a_look(recipe, inputs)
    if recipe.align.threads:
        torch.set_num_threads(recipe.align.threads)
    with tempfile.TemporaryDirectory() as scratch:
        trainer: AlignmentTrainer | ItemTrainer
        if recipe.model.architecture == "item_level":
            trainer = _item_trainer(recipe, inputs, catalog, Path(scratch))
            found = _item_counts(cast(ItemSequences, trainer.train_dataset))
        else:
            trainer = build_trainer(recipe, inputs, catalog, Path(scratch), for_a_look=True)
            found = _counts(trainer)
        seconds = _seconds_per_step(trainer, recipe.align.residual_dropout)
        *_, steps = trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())
    trained = _trained(trainer)
    average = sum(p.numel() * p.element_size() for p in trained) if recipe.align.ema_decay else 0
    return Estimate(
        items=len(inputs.items),
        users=len(inputs.log.user_ids),
        interactions=len(inputs.log),
        time_kind=inputs.log.time_kind,
        validation_cases=len(inputs.split.validation),
        test_cases=len(inputs.split.test),
        tasks=found.tasks,
        training_rows=sum(found.tasks.values()),
        tokens_per_epoch=found.tokens,
        targets_per_epoch=found.targets,
        codebook_sizes=tuple(catalog.spec.codebook_sizes),
        reserved_tokens=found.reserved_tokens,
        steps=steps,
        trained_parameters=sum(p.numel() for p in trained),
        seconds_per_step=seconds,
        training_minutes=steps * seconds / 60,
        memory_gib=(_peak(trainer) + average) / 2**30,
    )


@dataclass(frozen=True)
class _Counts:
    """What an epoch holds; see `Estimate`."""

    tasks: dict[str, int]
    tokens: int
    targets: int
    reserved_tokens: int


def _counts(trainer: AlignmentTrainer) -> _Counts:
    mixture = trainer.mixture
    tasks = {task.name: int(count) for task, count in zip(mixture.tasks, mixture.counts, strict=True)}
    reserved = len(SemanticIdVocabulary.tokens(mixture.catalog.spec))
    return _Counts(tasks, _tokens(trainer), mixture.num_targets, reserved)


def _item_counts(rows: ItemSequences) -> _Counts:
    positions = int(np.minimum(rows.lengths - 1, rows.max_history).sum())
    return _Counts({"seqrec": len(rows)}, positions, positions, 0)


def _item_trainer(recipe: Recipe, inputs: Inputs, catalog: Catalog, folder: Path) -> ItemTrainer:
    """The trainer of an item-level generator whose content is zeros: what an item says costs no step time."""
    section, lsa = recipe.item_level, recipe.embeddings.encoder == "lsa"
    width = sum(
        min(section.channel_dim, recipe.embeddings.dim)
        if lsa and channel == "content"
        else section.channel_dim
        for channel in section.channels
    )
    return ItemTrainer(
        model=untrained_model(recipe, catalog, np.zeros((len(catalog), width), dtype=np.float32)),
        train_dataset=ItemSequences(
            canonical_order(catalog.item_ids),
            inputs.split.train,
            max_history=recipe.align.max_history,
            seed=recipe.seed,
        ),
        args=training_arguments(recipe, folder),
    )


def _peak(trainer: AlignmentTrainer | ItemTrainer) -> int:
    """Most bytes held so far."""
    if trainer.args.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(trainer.args.device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _trained(trainer: AlignmentTrainer | ItemTrainer) -> list[nn.Parameter]:
    return [p for p in cast(nn.Module, trainer.model).parameters() if p.requires_grad]


def _tokens(trainer: AlignmentTrainer) -> int:
    """Tokens of an epoch: counted where there are few rows, else estimated from rows spread over all."""
    total = len(trainer.mixture)
    chosen = np.unique(np.linspace(0, total - 1, num=min(total, COUNTED_ROWS), dtype=np.int64))
    lengths = [len(trainer.rows[int(index)]["input_ids"]) for index in chosen]
    return round(sum(lengths) * total / len(chosen))


def _seconds_per_step(trainer: AlignmentTrainer | ItemTrainer, dropout: float) -> float:
    """Median seconds of an optimiser step, over a few steps that change nothing."""
    optimizer, took = torch.optim.AdamW(_trained(trainer), lr=0.0, weight_decay=0.0), []
    model, narrow = cast(PreTrainedModel, trainer.model).train(), trainer.accelerator.native_amp
    casts: AbstractContextManager[None] = nullcontext()
    if isinstance(trainer, AlignmentTrainer):
        casts = trainer.adapter_casts.left_to_autocast(narrow)
        if dropout:
            add_residual_dropout(model, dropout)
    batches = iter(trainer.get_train_dataloader())
    with casts:
        for _, batch in zip(range(1 + TIMED_STEPS), batches, strict=False):
            began = time.perf_counter()
            with trainer.accelerator.autocast():
                loss = cast(torch.Tensor, trainer.compute_loss(model, batch))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            _ = float(loss.detach())  # on a device the clock waits until all is done
            took.append((time.perf_counter() - began) * trainer.args.gradient_accumulation_steps)
    return float(np.median(took[1:] or took))
