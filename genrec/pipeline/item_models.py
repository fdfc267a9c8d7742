"""Training of item models (the item-level generator, its control without codes, SASRec) on a split.

Does not know test cases: early stopping looks at the validation cases only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel, TrainerCallback

from genrec.artifacts import atomic_write_text
from genrec.data import Split, canonical_order
from genrec.errors import ConfigError
from genrec.evaluation import RetrievalCallback, RetrievalEvaluator
from genrec.ranking import Ranker
from genrec.tasks import ItemAugmentation, ItemSequences, TeacherLists
from genrec.training import ItemTrainer, ItemTrainingConfig

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=PreTrainedModel)


def train_item_model(
    model: M,
    make_ranker: Callable[[Any], Ranker],
    split: Split,
    item_ids: list[str],
    args: ItemTrainingConfig,
    *,
    evaluate_every: int = 200,
    patience: int = 5,
    validation_users: int = 0,
    mask_history: bool = False,
    augmentation: ItemAugmentation | None = None,
    teacher: TeacherLists | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> tuple[M, RetrievalCallback]:
    """Trains until validation NDCG@10 gets no better; a killed run is taken up at its newest checkpoint.

    Args:
        model: A model of `genrec.models` with `config.max_positions`.
        make_ranker: Ranker of the model in training.
        split: What trains and what chooses.
        item_ids: The catalog.
        args: Training arguments; `output_dir` holds checkpoints, the loss curve and the best weights.
        evaluate_every: Optimiser steps between validations.
        patience: Validations without a better value before training stops; 0 = never.
        validation_users: Users of the validation sample; 0 = all.
        mask_history: Whether validation takes a history's items out of the lists.
        augmentation: Other readings of the training rows; None = as they are.
        teacher: Lists of another ranker to learn from as well; None = the histories alone.
        callbacks: More callbacks of the trainer.

    Returns:
        The model with the best weights, in evaluation mode, and the callback, which knows their value and
        step.
    """
    cases = split.validation
    if validation_users:
        cases = cases.sample(min(validation_users, len(cases)), seed=args.seed)
    evaluator = RetrievalEvaluator(cases, item_ids=item_ids, ks=(10,), mask_history=mask_history, bootstrap=0)
    rows = ItemSequences(
        canonical_order(item_ids),
        split.train,
        max_history=model.config.max_positions,
        seed=args.seed,
        augmentation=augmentation,
        teacher=teacher,
    )
    trainer = ItemTrainer(model=model, train_dataset=rows, args=args, callbacks=callbacks)
    callback = RetrievalCallback(
        evaluator,
        make_ranker,
        Path(str(args.output_dir)),
        every_steps=evaluate_every,
        patience=patience,
        averaging=trainer.averaging,
        log=trainer.log if args.report_to else None,
    )
    trainer.add_callback(callback)
    parameters = sum(p.numel() for p in model.parameters())
    logger.info("%d users, %d parameters, %d threads", len(rows), parameters, torch.get_num_threads())
    trainer.train()
    best = type(model).from_pretrained(callback.best_weights())
    return best.eval(), callback


def tune_item_model(
    make: Callable[[dict[str, Any]], tuple[M, ItemTrainingConfig]],
    grid: Sequence[dict[str, Any]],
    make_ranker: Callable[[Any], Ranker],
    split: Split,
    item_ids: list[str],
    *,
    log_file: str | Path,
    **training: Any,
) -> tuple[M, dict[str, Any]]:
    """Trains one model a setting and keeps the best by validation NDCG@10.

    Args:
        make: A setting to an untrained model and its training arguments; every setting needs an output
            folder of its own, and one that was trained already is not trained again.
        grid: Settings tried; of equal values the first one stays.
        make_ranker: Ranker of a model in training.
        split: What trains and what chooses.
        item_ids: The catalog.
        log_file: JSON lines of all that was tried, with value and step.
        training: Keyword arguments of `train_item_model`.

    Returns:
        The best model, in evaluation mode, and its setting.

    Raises:
        ConfigError: No setting.
    """
    if not grid:
        raise ConfigError("there is no setting to try", received="an empty grid", remedy="give at least one")
    rows: list[str] = []
    found: list[tuple[float, M, dict[str, Any]]] = []
    for setting in tqdm(grid, desc="tuning", unit="setting", disable=None):
        model, args = make(setting)
        trained, callback = train_item_model(model, make_ranker, split, item_ids, args, **training)
        row = {**setting, "ndcg@10": round(callback.best_value, 6), "step": callback.best_step}
        rows.append(json.dumps(row))
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(Path(log_file), "\n".join(rows) + "\n")
        if not found or callback.best_value > found[0][0]:
            found = [(callback.best_value, trained, setting)]
    value, chosen, setting = found[0]
    logger.info("used: %s, validation ndcg@10 %.4f", setting, value)
    return chosen, setting
