"""`check`: what a recipe will cost, before anything is spent.

Does not know how to train: it counts, builds the model once and times a few steps of it on made-up IDs.
"""

from __future__ import annotations

import math
import resource
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from genrec.catalog import Catalog
from genrec.decoding import OutputHead
from genrec.pipeline.base_model import language_model
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.semantic_ids import has_ids, load_catalog
from genrec.recipe import Recipe
from genrec.semantic_ids import ItemTokenizer, SemanticIdSpec
from genrec.tasks import PromptBuilder, SeqRec
from genrec.training import PackingCollator, SemanticIdLoss
from genrec.vocabulary import SemanticIdVocabulary

TIMED_STEPS = 3


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
        training_rows: Rows (users) an epoch.
        tokens_per_epoch: Tokens of these rows, padding left out.
        targets_per_epoch: Items predicted in an epoch.
        codebook_sizes: Positions of the Semantic IDs.
        reserved_tokens: Tokens reserved for them.
        steps: Optimiser steps when training is not stopped early.
        trained_parameters: Weights that training changes.
        seconds_per_step: Measured here, over a few steps of one batch, on made-up IDs.
        training_minutes: Steps times that; validations come on top.
        memory_gib: Peak of this process after those steps, plus the optimiser's and the average's copies.
    """

    items: int
    users: int
    interactions: int
    time_kind: str
    validation_cases: int
    test_cases: int
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
    catalog = _catalog(recipe, inputs)
    if recipe.align.threads:
        torch.set_num_threads(recipe.align.threads)
    model, text_tokenizer, vocabulary = language_model(recipe, inputs.items, catalog)
    task = SeqRec.from_log(catalog, inputs.split.train, max_history=recipe.align.max_history)
    builder = PromptBuilder.for_tokenizer(text_tokenizer, vocabulary, max_history=recipe.align.max_history)
    loss = SemanticIdLoss(catalog.trie, vocabulary, recipe.align.normalize)
    seconds = _seconds_per_step(model, loss, task, builder, recipe)
    items_per_row = np.minimum(task.lengths, recipe.align.max_history + 1)
    steps = math.ceil(len(task) // recipe.align.batch_size * recipe.align.epochs)
    steps = recipe.align.max_steps if recipe.align.max_steps > 0 else steps
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    copies = 2 + (1 if recipe.align.ema_decay else 0)  # Adam's two moments, the average
    return Estimate(
        items=len(inputs.items),
        users=len(inputs.log.user_ids),
        interactions=len(inputs.log),
        time_kind=inputs.log.time_kind,
        validation_cases=len(inputs.split.validation),
        test_cases=len(inputs.split.test),
        training_rows=len(task),
        tokens_per_epoch=int((1 + items_per_row * catalog.spec.length).sum()),
        targets_per_epoch=task.num_targets,
        codebook_sizes=tuple(catalog.spec.codebook_sizes),
        reserved_tokens=len(SemanticIdVocabulary.tokens(catalog.spec)),
        steps=steps,
        trained_parameters=parameters,
        seconds_per_step=seconds,
        training_minutes=steps * seconds / 60,
        memory_gib=peak + copies * parameters * 4 / 2**30,
    )


def _catalog(recipe: Recipe, inputs: Inputs) -> Catalog:
    """The built catalog where there is one, else made-up unique codes of the right shape."""
    if has_ids(recipe, inputs.items):
        return load_catalog(recipe)
    section = recipe.item_tokenizer
    if section.index is not None:
        return Catalog.from_index(section.index, inputs.items, collisions=section.index_collisions)
    spec: SemanticIdSpec = ItemTokenizer.from_definition(section.definition).spec
    codes, rest = [], np.arange(len(inputs.items))
    for size in spec.codebook_sizes:  # each item's number, written in the codebooks' sizes as digits
        codes.append(rest % size)
        rest = rest // size
    return Catalog(inputs.items.canonical_ids, np.stack(codes, axis=1), spec)


def _seconds_per_step(
    model: Any, loss: SemanticIdLoss, task: SeqRec, builder: PromptBuilder, recipe: Recipe
) -> float:
    rng = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    collate = PackingCollator(builder.pad_token_id)
    head, took = OutputHead.of(model), []
    for _ in range(1 + TIMED_STEPS):
        chosen = rng.integers(len(task), size=min(recipe.align.batch_size, len(task)))
        rows = [task.row(int(i), rng, builder) for i in chosen]
        batch = collate([{"input_ids": ids, "labels": labels} for ids, labels in rows])
        labels = batch.pop("labels")
        began = time.perf_counter()
        out = model(**batch, output_hidden_states=True, use_cache=False, logits_to_keep=1)
        loss(out.hidden_states[-1], head, batch["input_ids"], labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        took.append(time.perf_counter() - began)
    return float(np.median(took[1:]))
