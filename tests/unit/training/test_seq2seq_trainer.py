"""The trainer on a tiny encoder-decoder: it learns, resumes exactly, is validated, ends in a bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from genrec import GenerativeRecommender, ItemTable
from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import TrainingError
from genrec.evaluation import RetrievalCallback, RetrievalEvaluator
from genrec.recommender import GenerativeRanker
from genrec.recommender.bundle import BundleSettings
from genrec.tasks import TaskMixture
from genrec.training import AlignmentConfig, AlignmentTrainer
from genrec.vocabulary import build_small_encoder_decoder

IDS = [f"i{row}" for row in range(30)]


class StopAt(TrainerCallback):
    """Ends a run after a step, as if it had been cut off there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= self.step


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    """A world where the next item is seven further on."""
    rng = np.random.default_rng(0)
    return InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": f"i{(3 * user + 7 * step) % 30}", "timestamp": step}
        for user in range(24)
        for step in range(int(rng.integers(3, 9)))
    )


@pytest.fixture
def make_trainer(make_tiny: Callable[..., Any], log: InteractionLog) -> Callable[..., AlignmentTrainer]:
    def make(
        folder: Path, callbacks: Any = (), dropout: float = 0.1, packed: bool = False, **options: Any
    ) -> AlignmentTrainer:
        tiny = make_tiny(30)
        model = build_small_encoder_decoder(
            tiny.text_tokenizer,
            hidden_size=16,
            num_layers=1,
            num_heads=3,
            head_dim=8,
            intermediate_size=24,
            dropout=dropout,
        )
        catalog = Catalog(IDS, tiny.codes, tiny.vocabulary.spec)
        form: Any = "packed" if packed else "prefixes"
        mixture = TaskMixture.seqrec(catalog, log, max_history=5, form=form)
        settings: dict[str, Any] = {"max_steps": 12, "save_strategy": "steps", "save_steps": 4, "seed": 3}
        arguments = {"per_device_train_batch_size": 8, "learning_rate": 5e-3, "use_cpu": True}
        return AlignmentTrainer(
            model=model,
            text_tokenizer=tiny.text_tokenizer,
            vocabulary=tiny.vocabulary,
            train_dataset=mixture,
            args=AlignmentConfig(
                str(folder), max_history=5, disable_tqdm=True, **{**arguments, **settings, **options}
            ),
            callbacks=callbacks,
        )

    return make


def weights(trainer: AlignmentTrainer) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])


def losses(trainer: AlignmentTrainer) -> list[float]:
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def test_it_learns(tmp_path: Path, make_trainer: Callable[..., Any]) -> None:
    options = {"max_steps": 40, "logging_steps": 10, "save_strategy": "no", "learning_rate": 2e-2}
    trainer = make_trainer(tmp_path, dropout=0.0, per_device_train_batch_size=32, **options)
    trainer.train()
    assert losses(trainer)[-1] < 0.6 * losses(trainer)[0]


@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9}])
def test_a_run_cut_off_and_resumed_equals_one_that_was_not(
    tmp_path: Path, make_trainer: Callable[..., Any], options: dict[str, float]
) -> None:
    whole = make_trainer(tmp_path / "whole", **options)
    whole.train()
    make_trainer(tmp_path / "cut", [StopAt(7)], **options).train()
    again = make_trainer(tmp_path / "cut", **options)
    again.train()
    assert torch.equal(weights(again), weights(whole))
    if whole.averaging is not None:
        for name, shadow in whole.averaging.shadows.items():
            assert torch.equal(shadow, again.averaging.shadows[name])


def test_eight_rows_at_once_equal_eight_times_one(tmp_path: Path, make_trainer: Callable[..., Any]) -> None:
    at_once = make_trainer(tmp_path / "a", logging_steps=1, dropout=0.0)
    at_once.train()
    one_by_one = make_trainer(
        tmp_path / "b",
        logging_steps=1,
        dropout=0.0,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=8,
    )
    one_by_one.train()
    np.testing.assert_allclose(losses(one_by_one), losses(at_once), rtol=1e-4)
    torch.testing.assert_close(weights(one_by_one), weights(at_once), atol=2e-3, rtol=0)


def test_the_shared_embedding_has_a_weight_decay_of_its_own(
    tmp_path: Path, make_trainer: Callable[..., Any]
) -> None:
    trainer = make_trainer(tmp_path, weight_decay=0.3, embedding_weight_decay=0.02)
    groups = trainer.create_optimizer().param_groups
    shared = trainer.model.get_input_embeddings().weight
    assert [g["weight_decay"] for g in groups for p in g["params"] if p is shared] == [0.02]


def test_what_does_not_fit_an_encoder_decoder_is_refused(
    tmp_path: Path, make_trainer: Callable[..., Any]
) -> None:
    with pytest.raises(TrainingError, match="the form prefixes"):
        make_trainer(tmp_path, packed=True)
    with pytest.raises(TrainingError, match="set residual_dropout to 0"):
        make_trainer(tmp_path, residual_dropout=0.1).train()


def test_it_is_validated_in_training_and_its_bundle_comes_back_with_the_same_answers(
    tmp_path: Path, make_trainer: Callable[..., Any], log: InteractionLog
) -> None:
    trainer = make_trainer(tmp_path / "run", max_steps=16, save_strategy="no", ema_decay=0.9)
    vocabulary = trainer.prompt_builder.vocabulary
    catalog = trainer.train_dataset.mixture.catalog
    split = log.leave_one_out()
    evaluator = RetrievalEvaluator(split.test, item_ids=catalog.item_ids, ks=(10,), bootstrap=0)
    callback = RetrievalCallback(
        evaluator,
        lambda model: GenerativeRanker(model, trainer.prompt_builder, catalog, num_beams=8),
        tmp_path / "run",
        every_steps=8,
        averaging=trainer.averaging,
    )
    trainer.add_callback(callback)
    trainer.train()
    rows = [row for row in trainer.state.log_history if "validation_ndcg@10" in row]
    assert [row["step"] for row in rows] == [8, 16]
    best = type(trainer.model).from_pretrained(callback.best_weights()).eval()
    items = ItemTable.from_rows({"item_id": item, "title": f"Title of {item}"} for item in IDS)
    recommender = GenerativeRecommender(
        best,
        trainer.processing_class,
        vocabulary,
        catalog,
        items,
        settings=BundleSettings(max_history=5, num_beams=8),
    )
    recommender.save_pretrained(tmp_path / "bundle")
    again = GenerativeRecommender.from_pretrained(tmp_path / "bundle")
    assert again.model.config.is_encoder_decoder
    for history in (["i1"], ["i4", "i11", "i18"]):
        expected, found = recommender.recommend(history, 8), again.recommend(history, 8)
        assert len(found) == 8
        assert [(r.item_id, r.score) for r in found] == [(r.item_id, r.score) for r in expected]
