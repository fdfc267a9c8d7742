"""Stage `align`: a catalog and histories to a trained bundle.

Does not know test cases: choices are made on the validation cases only.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from genrec.artifacts import atomic_write_text, has_artifact
from genrec.baselines import Popularity
from genrec.catalog import Catalog
from genrec.config import fingerprint, to_mapping
from genrec.evaluation import RetrievalCallback, RetrievalEvaluator
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.item_level import train_item_level
from genrec.pipeline.mixture import sources_digest
from genrec.pipeline.semantic_ids import (
    build_ids,
    has_given_ids,
    ids_fingerprint,
    load_catalog,
    load_item_tokenizer,
    vectors_facts,
)
from genrec.pipeline.stage import StageResult, write_resolved
from genrec.pipeline.trainer import build_trainer
from genrec.recipe import AlignSection, Recipe
from genrec.recommender import GenerativeRanker, GenerativeRecommender
from genrec.recommender.bundle import BundleSettings
from genrec.training import AlignmentTrainer, process_state

logger = logging.getLogger(__name__)

BUNDLE_KINDS = ("bundle", "item_level_bundle")
# of the section `align`: what changes no weight, so that a run may go on with another value
WEIGHTLESS = ("keep_checkpoints", "logging_steps", "report_to", "activation_checkpointing")


def bundle_folder(recipe: Recipe) -> Path:
    """Where the trained bundle lies."""
    return recipe.output_dir / "bundle"


def align_fingerprint(recipe: Recipe, inputs: Inputs) -> str:
    """Digest of everything the trained weights depend on."""
    item_level = recipe.model.architecture == "item_level"
    weightless: dict[str, Any] = {
        f.name: f.default for f in dataclasses.fields(AlignSection) if f.name in WEIGHTLESS
    }
    return fingerprint(
        [
            inputs.fingerprint(),
            ids_fingerprint(recipe, inputs),
            recipe.model,
            *([recipe.item_level] if item_level else []),
            # content is part of an item-level model, whether its IDs were made of it or not
            *(vectors_facts(recipe) if item_level and has_given_ids(recipe) else []),
            recipe.tasks,
            recipe.item_tokenizer.user_codes,
            [recipe.texts.source, recipe.texts.model, recipe.texts.num_queries, recipe.texts.max_new_tokens],
            *([recipe.texts.revision] if recipe.texts.revision is not None else []),
            sources_digest(recipe),
            dataclasses.replace(recipe.align, **weightless),
            recipe.decode.num_beams,
            recipe.decode.mix_content,
            recipe.evaluate.mask_history,
            recipe.seed,
        ]
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
    train = train_item_level if recipe.model.architecture == "item_level" else _train
    recommender = train(recipe, inputs, folder)
    if recommender is not None and state.is_main_process:
        recommender.save_pretrained(bundle)
        atomic_write_text(folder / "finished.json", json.dumps({"inputs": wanted}))
    state.wait_for_everyone()
    return StageResult(
        "align", bundle, False, f"trained in {state.num_processes} process(es), bundle in {bundle}"
    )


def _train(recipe: Recipe, inputs: Inputs, folder: Path) -> GenerativeRecommender | None:
    catalog = load_catalog(recipe)
    trainer = build_trainer(recipe, inputs, catalog, folder)
    callback = _validation(recipe, inputs, catalog, trainer, folder)
    trainer.add_callback(callback)
    for task, count in zip(trainer.mixture.tasks, trainer.mixture.counts, strict=True):
        logger.info("%s: %d rows an epoch", task.name, count)
    trainer.train()
    process_state().wait_for_everyone()
    best = trainer.load_weights(callback.best_weights())
    return None if best is None else _recommender(recipe, inputs, trainer, best, callback)


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
        whole_model=trainer.whole_model,
        log=None if section.report_to == "none" else trainer.log,
    )


def _recommender(
    recipe: Recipe,
    inputs: Inputs,
    trainer: AlignmentTrainer,
    model: PreTrainedModel,
    callback: RetrievalCallback,
) -> GenerativeRecommender:
    catalog, template = trainer.mixture.catalog, trainer.mixture.template
    popular, _ = Popularity(inputs.split.train, catalog.item_ids).rank([[]], min(100, len(catalog)))
    settings = BundleSettings(
        normalize=recipe.align.normalize,
        max_history=recipe.align.max_history,
        num_beams=recipe.decode.num_beams,
        popular_items=tuple(item for item in popular[0] if item),
        template="" if template is None else template.prompt,
    )
    return GenerativeRecommender(
        model.eval(),
        trainer.text_tokenizer,
        trainer.prompt_builder.vocabulary,
        catalog,
        inputs.items.subset(catalog.item_ids),
        settings=settings,
        item_tokenizer=load_item_tokenizer(recipe),
        recipe=to_mapping(recipe),
        metrics={"validation": {"ndcg@10": callback.best_value, "step": callback.best_step}},
        user_tokenizer=trainer.mixture.user_tokenizer,
    )


def _finished(folder: Path, bundle: Path, wanted: str) -> bool:
    path = folder / "finished.json"
    if not path.exists() or not any(has_artifact(bundle, kind=kind) for kind in BUNDLE_KINDS):
        return False
    return bool(json.loads(path.read_text(encoding="utf-8")).get("inputs") == wanted)


def _start(folder: Path, wanted: str) -> None:
    """Keeps a run of the same inputs to resume it; sets one of other inputs aside as `<folder>.old`."""
    path = folder / "inputs.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if folder.exists() and known.get("inputs") != wanted:
        old = folder.with_name(folder.name + ".old")
        if old.exists():
            logger.warning("an older run in %s is deleted", old)
            shutil.rmtree(old)
        os.replace(folder, old)
        logger.warning("%s held a run of other inputs, now in %s", folder, old)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps({"inputs": wanted}))
