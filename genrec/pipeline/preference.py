"""Stage `prefer`: a trained bundle that learns to prefer what users chose over what they did not.

Does not know how it is printed. Test cases are measured when all choices are made, before and after.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any, cast

import torch

from genrec.artifacts import atomic_write_text, has_artifact
from genrec.config import fingerprint, to_mapping
from genrec.errors import ConfigError
from genrec.evaluation import RetrievalCallback, RetrievalEvaluator, write_run
from genrec.pipeline.alignment import align_fingerprint, bundle_folder
from genrec.pipeline.evaluation import answerable, offered
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.stage import StageResult, write_resolved
from genrec.recipe import Recipe
from genrec.recommender import GenerativeRanker, GenerativeRecommender, load_recommender
from genrec.tasks import PreferencePairs
from genrec.training import PreferenceConfig, PreferenceTrainer, load_weights, merge, process_state

logger = logging.getLogger(__name__)


def prefer(recipe: Recipe, inputs: Inputs | None = None) -> StageResult:
    """Preference optimisation of the bundle in `output_dir/bundle`; a killed run is taken up.

    Writes `output_dir/preferred`: the new bundle, with adapters merged, and the runs of both on the test
    cases, for `genrec compare`. The best step on the validation cases is kept, also where it is worse than
    the bundle was; the message says so.

    Raises:
        ArtifactError: No trained bundle, or a damaged one.
        ConfigError: The bundle is an item-level generator, or the launch has several processes.
    """
    state, section = process_state(), recipe.preference
    if state.num_processes > 1:
        raise ConfigError(
            "the stage prefer runs in one process",
            received=f"{state.num_processes} processes",
            remedy="run genrec prefer without accelerate launch",
        )
    if recipe.align.threads:
        torch.set_num_threads(recipe.align.threads)
    inputs = inputs or load_inputs(recipe)
    folder = recipe.output_dir / "preferred"
    known = load_recommender(bundle_folder(recipe), device=str(state.device))
    if not isinstance(known, GenerativeRecommender):
        raise ConfigError(
            "preferences are learned by language models",
            received="a bundle of an item-level generator",
            remedy="align a recipe with model.architecture=decoder",
        )
    wanted = fingerprint(
        [align_fingerprint(recipe, inputs), section, known.catalog.fingerprint(), recipe.evaluate]
    )
    finished = folder / "finished.json"
    if finished.exists() and has_artifact(folder / "bundle", kind="bundle"):
        done = json.loads(finished.read_text(encoding="utf-8"))
        if done["inputs"] == wanted:
            return StageResult("prefer", folder, True, f"skipped, the same bundle is in {folder / 'bundle'}")
    write_resolved(recipe, "prefer")
    validation = _evaluator(recipe, inputs, known, validation=True)
    test = _evaluator(recipe, inputs, known, validation=False)
    before = validation.evaluate(known.ranker).metrics["ndcg@10"]
    logger.info("validation ndcg@10 %.4f before", before)
    _save_run(test, known, folder, "aligned")
    new, callback = _train(recipe, inputs, known, validation, folder / "align" / wanted[:12])
    new.metrics = {
        "validation": {"ndcg@10": callback.best_value, "step": callback.best_step, "before": before}
    }
    _save_run(test, new, folder, "preferred")
    new.save_pretrained(folder / "bundle")
    atomic_write_text(finished, json.dumps({"inputs": wanted}))
    found = f"validation NDCG@10 {before:.4f} before, {callback.best_value:.4f} at step {callback.best_step}"
    found += "" if callback.best_value > before else " (no better: keep the bundle there was)"
    return StageResult("prefer", folder, False, f"{found}; bundle in {folder / 'bundle'}")


def _train(
    recipe: Recipe, inputs: Inputs, known: GenerativeRecommender, evaluator: RetrievalEvaluator, folder: Path
) -> tuple[GenerativeRecommender, RetrievalCallback]:
    section, ranker, settings = recipe.preference, known.ranker, known.settings
    pairs = PreferencePairs.from_log(
        known.catalog,
        inputs.split.train,
        num_rejected=section.num_rejected,
        ranker=ranker if section.rejected == "beams" else None,
        depth=max(recipe.decode.num_beams, 2 * section.num_rejected),
        max_history=settings.max_history,
        held_out=inputs.split.held_out,
        seed=recipe.seed,
    )

    def make_ranker(model: Any) -> GenerativeRanker:
        return GenerativeRanker(
            model,
            ranker.builder,
            known.catalog,
            normalize=ranker.search.normalize,
            num_beams=recipe.decode.num_beams,
            batch_size=recipe.decode.batch_size,
            popular_items=ranker.popular_items,
        )

    callback = RetrievalCallback(
        evaluator, make_ranker, folder, every_steps=section.evaluate_every, patience=section.patience
    )
    trainer = PreferenceTrainer(
        model=known.model,
        prompt_builder=ranker.builder,
        train_dataset=pairs,
        args=_arguments(recipe, settings.normalize, folder),
        callbacks=[callback],
    )
    if recipe.align.report_to != "none":
        callback.log = trainer.log
    trainer.train()
    best = load_weights(cast(Any, trainer.model), callback.best_weights())
    if section.lora_r:
        best = merge(best)
    new = GenerativeRecommender(
        best.eval(),
        known.text_tokenizer,
        known.vocabulary,
        known.catalog,
        known.items,
        settings=dataclasses.replace(settings, num_beams=recipe.decode.num_beams),
        item_tokenizer=known.item_tokenizer,
        recipe=to_mapping(recipe),
    )
    return new, callback


def _arguments(recipe: Recipe, normalize: str, folder: Path) -> PreferenceConfig:
    section = recipe.preference
    return PreferenceConfig(
        str(folder),
        normalize=normalize,
        beta=section.beta,
        lora_r=section.lora_r,
        lora_alpha=section.lora_alpha,
        max_steps=section.steps,
        per_device_train_batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(20, section.steps // 10),
        max_grad_norm=recipe.align.max_grad_norm,
        bf16=recipe.align.bf16,
        activation_checkpointing=recipe.align.activation_checkpointing,
        report_to=recipe.align.report_to,
        logging_steps=recipe.align.logging_steps,
        save_strategy="no",  # the validation callback asks for checkpoints
        save_total_limit=recipe.align.keep_checkpoints,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=process_state().device.type == "cpu",
    )


def _evaluator(
    recipe: Recipe, inputs: Inputs, known: GenerativeRecommender, *, validation: bool
) -> RetrievalEvaluator:
    section, cases = recipe.evaluate, inputs.split.test
    if validation:
        cases = inputs.split.validation
        if recipe.align.validation_users:
            cases = cases.sample(min(recipe.align.validation_users, len(cases)), seed=recipe.seed)
    return RetrievalEvaluator(
        answerable(cases, known.catalog),
        item_ids=offered(known.catalog),
        ks=(10,) if validation else section.ks,
        mask_history=section.mask_history,
        bootstrap=0 if validation else section.bootstrap,
        seed=recipe.seed,
    )


def _save_run(
    evaluator: RetrievalEvaluator, recommender: GenerativeRecommender, folder: Path, name: str
) -> None:
    ranker = recommender.ranker
    ranker.name = name
    write_run(evaluator.evaluate(ranker), folder / "runs" / name, {"seed": evaluator.seed})
