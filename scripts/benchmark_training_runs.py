"""The training runs that are compared: packed rows by genrec, a row per prefix by trl.

All start from the same weights and share optimiser, dropout, averaging, tokens a step, validation and beams.
The baseline is trl's `SFTTrainer` on rows of token ids, length-grouped, with cross-entropy. Does not know how
runs are compared.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_training_meter import Meter
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from genrec.evaluation import RetrievalEvaluator
from genrec.pipeline import Inputs, build_ids, load_inputs
from genrec.pipeline.base_model import language_model
from genrec.pipeline.semantic_ids import load_catalog
from genrec.recipe import Recipe
from genrec.recommender import GenerativeRanker
from genrec.tasks import PrefixSeqRec, PromptBuilder, TaskMixture, TokenRows
from genrec.training import AlignmentConfig, AlignmentTrainer, WeightAveraging
from genrec.training.residual_dropout import add_residual_dropout

logger = logging.getLogger("benchmark")


class Contest:
    """One recipe and seed, and the runs that start from the same weights.

    Args:
        recipe: Data, IDs, model and training.
        every_steps: Optimiser steps between validations.
        most_seconds: Hard limit of a run, validations counted.
        kept: Folder of finished runs, not run again, and `<run>.partial.json` of one under way; None = none.
    """

    def __init__(
        self,
        recipe: Recipe,
        every_steps: int,
        most_seconds: float = float("inf"),
        kept: Path | None = None,
    ) -> None:
        self.recipe, self.every_steps = recipe, every_steps
        self.most_seconds, self.kept = most_seconds, kept
        self.partial: Path | None = None  # of the run under way
        self.inputs: Inputs = load_inputs(recipe)
        build_ids(recipe, self.inputs)
        self.catalog = load_catalog(recipe)
        section, cases = recipe.align, self.inputs.split.validation
        if section.validation_users:
            cases = cases.sample(min(section.validation_users, len(cases)), seed=recipe.seed)
        self.evaluator = RetrievalEvaluator(cases, item_ids=self.catalog.item_ids, ks=(10,), bootstrap=0)

    def once(self, name: str, run: Callable[[], Meter]) -> Meter:
        """What a run measured; one that is kept is read."""
        if self.kept is None:
            return run()
        self.kept.mkdir(parents=True, exist_ok=True)
        path = self.kept / f"{self.recipe.name}-{self.recipe.seed}-{name}.json"
        if not path.exists():
            self.partial = path.with_suffix(".partial.json")
            run().save(path)
            self.partial.unlink(missing_ok=True)
        return Meter.load(path)

    def meter(self, collate: Any, most_tokens: float) -> Meter:
        """The meter of a run, still without its validation."""
        patience = self.recipe.align.patience
        return Meter(collate, self.every_steps, patience, most_tokens, self.most_seconds, kept=self.partial)

    def arguments(self, folder: str, batch: int) -> dict[str, Any]:
        """The training arguments that all runs share."""
        section = self.recipe.align
        return {
            "output_dir": folder,
            "max_steps": 10**7,  # the meter stops the run
            "per_device_train_batch_size": batch,
            "learning_rate": section.learning_rate,
            "lr_scheduler_type": section.lr_scheduler,
            "warmup_steps": section.warmup_steps,
            "adam_beta2": section.adam_beta2,
            "weight_decay": section.weight_decay,
            "max_grad_norm": section.max_grad_norm,
            "bf16": False,
            "activation_checkpointing": False,
            "max_length": None,
            "dataloader_drop_last": True,
            "dataloader_pin_memory": False,
            "logging_steps": 10**6,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "seed": self.recipe.seed,
            "data_seed": self.recipe.seed,
            "use_cpu": not torch.accelerator.is_available(),
        }

    def packed_rows(self) -> TaskMixture:
        """One packed row a user."""
        return TaskMixture.seqrec(
            self.catalog,
            self.inputs.split.train,
            max_history=self.recipe.align.max_history,
            seed=self.recipe.seed,
        )

    def packed(self, normalize: str, most_tokens: float) -> Meter:
        """The trainer of genrec on packed rows."""
        section = self.recipe.align
        model, text_tokenizer, vocabulary = language_model(self.recipe, self.inputs.items, self.catalog)
        with tempfile.TemporaryDirectory() as folder:
            trainer = AlignmentTrainer(
                model=model,
                text_tokenizer=text_tokenizer,
                vocabulary=vocabulary,
                train_dataset=self.packed_rows(),
                args=AlignmentConfig(
                    **self.arguments(folder, section.batch_size),
                    normalize=normalize,
                    max_history=section.max_history,
                    ema_decay=section.ema_decay,
                    residual_dropout=section.residual_dropout,
                ),
            )
            meter = self.meter(trainer.data_collator, most_tokens)
            meter.validate = self.validation(trainer.prompt_builder, [normalize], trainer.averaging)
            trainer.data_collator = meter
            trainer.add_callback(meter)
            trainer.train()
        return meter

    def row_per_prefix(self, most_tokens: float) -> Meter:
        """The trainer of trl on a row for every item that has one before it, labelled on that item alone.

        A step has as many rows as hold the tokens of a step of packed rows, on average.
        """
        section = self.recipe.align
        model, text_tokenizer, vocabulary = language_model(self.recipe, self.inputs.items, self.catalog)
        builder = PromptBuilder.for_tokenizer(text_tokenizer, vocabulary, max_history=section.max_history)
        rows = self.prefix_rows(builder)
        packed = TokenRows(self.packed_rows(), builder)
        step_tokens = section.batch_size * np.mean([len(packed[i]["input_ids"]) for i in range(len(packed))])
        batch = max(1, round(step_tokens * len(rows) / sum(map(len, rows["input_ids"]))))
        add_residual_dropout(model, section.residual_dropout)
        averaging = WeightAveraging(model, section.ema_decay)
        with tempfile.TemporaryDirectory() as folder:
            trainer = SFTTrainer(
                model=model,
                processing_class=text_tokenizer,
                train_dataset=rows,
                args=SFTConfig(**self.arguments(folder, batch), train_sampling_strategy="group_by_length"),
                callbacks=[averaging],
            )
            meter = self.meter(trainer.data_collator, most_tokens)
            meter.validate = self.validation(builder, ["full", "allowed"], averaging)
            trainer.data_collator = meter
            trainer.add_callback(meter)
            logger.info("%d rows, %d a step", len(rows), batch)
            trainer.train()
        return meter

    def prefix_rows(self, builder: PromptBuilder) -> Dataset:
        """Each target behind the prompt that serving builds of the items before it, as lists of token ids."""
        train, most = self.inputs.split.train, builder.max_history
        task = PrefixSeqRec.from_log(self.catalog, train, max_history=most)
        rng = np.random.default_rng(0)
        rows = [task.row(index, rng, builder) for index in range(len(task))]
        columns = {"input_ids": [ids for ids, _ in rows], "labels": [labels for _, labels in rows]}
        return Dataset.from_dict({name: [row.tolist() for row in kept] for name, kept in columns.items()})

    def validation(
        self, builder: PromptBuilder, normalizers: Sequence[Any], averaging: WeightAveraging
    ) -> Callable[[Any], float]:
        """NDCG@10 of a model's averaged weights on the validation cases, by the best of the normalisers."""

        def validate(model: Any) -> float:
            rankers = [
                GenerativeRanker(
                    model,
                    builder,
                    self.catalog,
                    normalize=normalize,
                    num_beams=self.recipe.decode.num_beams,
                    batch_size=self.recipe.decode.batch_size,
                )
                for normalize in normalizers
            ]
            with averaging.applied():
                return max(self.evaluator.evaluate(ranker).metrics["ndcg@10"] for ranker in rankers)

        return validate
