"""Stage `align`: a catalog and histories to a trained bundle.

Does not know test cases: choices are made on the validation cases only.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from genrec.artifacts import atomic_write_text, has_artifact
from genrec.baselines import Popularity
from genrec.catalog import Catalog
from genrec.config import fingerprint, to_mapping
from genrec.errors import ConfigError
from genrec.evaluation import RetrievalCallback, RetrievalEvaluator
from genrec.pipeline.base_model import language_model
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.semantic_ids import build_ids, ids_fingerprint, load_catalog, load_item_tokenizer
from genrec.pipeline.stage import StageResult, write_resolved
from genrec.recipe import Recipe
from genrec.recommender import GenerativeRanker, GenerativeRecommender
from genrec.recommender.bundle import BundleSettings
from genrec.tasks import TaskMixture
from genrec.training import AlignmentConfig, AlignmentTrainer, load_weights, on_cpu, process_state
from genrec.vocabulary import SemanticIdVocabulary

logger = logging.getLogger(__name__)


def bundle_folder(recipe: Recipe) -> Path:
    """Where the trained bundle lies."""
    return recipe.output_dir / "bundle"


def align_fingerprint(recipe: Recipe, inputs: Inputs) -> str:
    """Digest of everything the trained weights depend on."""
    return fingerprint(
        [
            inputs.fingerprint(),
            ids_fingerprint(recipe, inputs.items),
            recipe.model,
            recipe.align,
            recipe.decode.num_beams,
            recipe.evaluate.mask_history,
            recipe.seed,
        ]
    )


def training_arguments(recipe: Recipe, folder: Path) -> AlignmentConfig:
    """The recipe's `align` section as training arguments of this process.

    Raises:
        ConfigError: The batch does not divide by the number of processes.
    """
    section, processes = recipe.align, process_state().num_processes
    shares = processes * section.gradient_accumulation
    if section.batch_size % shares:
        raise ConfigError(
            "the batch does not divide among the processes and the passes of a step",
            received=f"align.batch_size={section.batch_size} for {processes} processes and "
            f"align.gradient_accumulation={section.gradient_accumulation}",
            remedy=f"set align.batch_size to a multiple of {shares}",
        )
    return AlignmentConfig(
        output_dir=str(folder),
        normalize=section.normalize,
        max_history=section.max_history,
        num_train_epochs=section.epochs,
        max_steps=section.max_steps,
        per_device_train_batch_size=section.batch_size // shares,
        gradient_accumulation_steps=section.gradient_accumulation,
        learning_rate=section.learning_rate,
        lr_scheduler_type=section.lr_scheduler,
        warmup_steps=section.warmup_steps,
        adam_beta2=section.adam_beta2,
        weight_decay=section.weight_decay,
        embedding_weight_decay=section.embedding_weight_decay,
        residual_dropout=section.residual_dropout,
        ema_decay=section.ema_decay,
        max_grad_norm=section.max_grad_norm,
        bf16=section.bf16,
        activation_checkpointing=section.activation_checkpointing,
        report_to=section.report_to,
        save_strategy="no",  # the validation callback asks for checkpoints
        save_total_limit=section.keep_checkpoints,
        disable_tqdm=not sys.stderr.isatty(),
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=on_cpu(),
        ddp_find_unused_parameters=False,
    )


def align(recipe: Recipe, inputs: Inputs | None = None) -> StageResult:
    """Trains the model of a recipe and writes the bundle; a killed run is taken up at its newest checkpoint.

    Under `accelerate launch` all processes call this with the same recipe; the first one writes.
    """
    state = process_state()
    if recipe.align.threads:
        torch.set_num_threads(recipe.align.threads)
    with state.main_process_first():
        inputs = inputs or load_inputs(recipe)
        build_ids(recipe, inputs)
    wanted = align_fingerprint(recipe, inputs)
    folder, bundle = recipe.output_dir / "align", bundle_folder(recipe)
    if _finished(folder, bundle, wanted):
        return StageResult("align", bundle, True, f"skipped, the same training is done in {bundle}")
    if state.is_main_process:
        _start(folder, wanted)
        write_resolved(recipe, "align")
    state.wait_for_everyone()
    recommender = _train(recipe, inputs, folder)
    if state.is_main_process:
        recommender.save_pretrained(bundle)
        atomic_write_text(folder / "finished.json", json.dumps({"inputs": wanted}))
    state.wait_for_everyone()
    return StageResult(
        "align", bundle, False, f"trained in {state.num_processes} process(es), bundle in {bundle}"
    )


def _train(recipe: Recipe, inputs: Inputs, folder: Path) -> GenerativeRecommender:
    catalog = load_catalog(recipe)
    model, text_tokenizer, vocabulary = language_model(recipe, inputs.items, catalog)
    section = recipe.align
    mixture = TaskMixture.seqrec(
        catalog, inputs.split.train, max_history=section.max_history, seed=recipe.seed
    )
    trainer = AlignmentTrainer(
        model=model,
        text_tokenizer=text_tokenizer,
        vocabulary=vocabulary,
        train_dataset=mixture,
        args=training_arguments(recipe, folder),
    )
    callback = _validation(recipe, inputs, catalog, trainer, folder)
    trainer.add_callback(callback)
    logger.info("%d rows, %d targets an epoch", len(mixture), mixture.num_targets)
    trainer.train()
    process_state().wait_for_everyone()
    best = load_weights(trainer.model, callback.best_weights())
    return _recommender(recipe, inputs, catalog, best, text_tokenizer, vocabulary, callback)


def _validation(
    recipe: Recipe, inputs: Inputs, catalog: Catalog, trainer: AlignmentTrainer, folder: Path
) -> RetrievalCallback:
    section, cases = recipe.align, inputs.split.validation
    if section.validation_users:
        cases = cases.sample(min(section.validation_users, len(cases)), seed=recipe.seed)
    evaluator = RetrievalEvaluator(
        cases, item_ids=catalog.item_ids, ks=(10,), mask_history=recipe.evaluate.mask_history, bootstrap=0
    )

    def make_ranker(model: Any) -> GenerativeRanker:
        return GenerativeRanker(
            model,
            trainer.prompt_builder,
            catalog,
            normalize=section.normalize,
            num_beams=recipe.decode.num_beams,
            batch_size=recipe.decode.batch_size,
        )

    return RetrievalCallback(
        evaluator,
        make_ranker,
        folder,
        every_steps=section.evaluate_every,
        patience=section.patience,
        averaging=trainer.averaging,
    )


def _recommender(
    recipe: Recipe,
    inputs: Inputs,
    catalog: Catalog,
    model: PreTrainedModel,
    text_tokenizer: PreTrainedTokenizerBase,
    vocabulary: SemanticIdVocabulary,
    callback: RetrievalCallback,
) -> GenerativeRecommender:
    popular, _ = Popularity(inputs.split.train, catalog.item_ids).rank([[]], min(100, len(catalog)))
    settings = BundleSettings(
        normalize=recipe.align.normalize,
        max_history=recipe.align.max_history,
        num_beams=recipe.decode.num_beams,
        popular_items=tuple(item for item in popular[0] if item),
    )
    return GenerativeRecommender(
        model.eval(),
        text_tokenizer,
        vocabulary,
        catalog,
        inputs.items.subset(catalog.item_ids),
        settings=settings,
        item_tokenizer=load_item_tokenizer(recipe),
        recipe=to_mapping(recipe),
        metrics={"validation": {"ndcg@10": callback.best_value, "step": callback.best_step}},
    )


def _finished(folder: Path, bundle: Path, wanted: str) -> bool:
    path = folder / "finished.json"
    if not path.exists() or not has_artifact(bundle, kind="bundle"):
        return False
    return bool(json.loads(path.read_text(encoding="utf-8")).get("inputs") == wanted)


def _start(folder: Path, wanted: str) -> None:
    """Keeps a run of the same inputs to resume it; sets one of other inputs aside as `<folder>.old`."""
    path = folder / "inputs.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if folder.exists() and known.get("inputs") != wanted:
        old = folder.with_name(folder.name + ".old")
        if old.exists():
            shutil.rmtree(old)
        os.replace(folder, old)
        logger.warning("%s held a run of other inputs, now in %s", folder, old)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps({"inputs": wanted}))
