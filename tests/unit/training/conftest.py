"""A trainer of a tiny model, from scratch or extended, for every test of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import TrainerCallback

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.tasks import TaskMixture
from genrec.training import AlignmentConfig, AlignmentTrainer
from genrec.vocabulary import extend_model

SETTINGS: dict[str, Any] = {
    "max_steps": 12,
    "save_strategy": "steps",
    "save_steps": 4,
    "seed": 3,
    "max_history": 5,
    "per_device_train_batch_size": 8,
    "learning_rate": 5e-3,
    "use_cpu": True,
    "disable_tqdm": True,
}


class Before(TrainerCallback):
    """Does something before a step begins."""

    def __init__(self, step: int, action: Callable[[Any], object]) -> None:
        self.step, self.action = step, action

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step - 1:
            self.action(kwargs["model"])


def walks(users: int = 24) -> InteractionLog:
    """Users who go through thirty items in steps of seven."""
    rng = np.random.default_rng(0)
    return InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": f"i{(3 * user + 7 * step) % 30}", "timestamp": step}
        for user in range(users)
        for step in range(int(rng.integers(3, 9)))
    )


@pytest.fixture
def training_log() -> InteractionLog:
    """What the trainers below learn from."""
    return walks()


@pytest.fixture
def make_trainer(make_tiny: Callable[..., Any]) -> Callable[..., AlignmentTrainer]:
    def make(folder: Path, callbacks: Any = (), users: int = 24, **options: Any) -> AlignmentTrainer:
        tiny = make_tiny(30)
        catalog = Catalog([f"i{row}" for row in range(30)], tiny.codes, tiny.vocabulary.spec)
        return AlignmentTrainer(
            model=tiny.model,
            text_tokenizer=tiny.text_tokenizer,
            vocabulary=tiny.vocabulary,
            train_dataset=TaskMixture.seqrec(catalog, walks(users), max_history=5, seed=3),
            args=AlignmentConfig(str(folder), **{**SETTINGS, **options}),
            callbacks=callbacks,
        )

    return make


@pytest.fixture
def make_run(make_base: Callable[..., Any], tiny: Any) -> Callable[..., AlignmentTrainer]:
    """The same over a base of a family that is extended first; `base` = a model and its text tokenizer."""

    def make(folder: Path, base: Any = None, callbacks: Any = (), **options: Any) -> AlignmentTrainer:
        catalog = Catalog([f"i{row}" for row in range(30)], tiny.codes, tiny.vocabulary.spec)
        source, text_tokenizer = base or make_base()
        model, text_tokenizer, vocabulary = extend_model(source, catalog.spec, text_tokenizer=text_tokenizer)
        return AlignmentTrainer(
            model=model,
            text_tokenizer=text_tokenizer,
            vocabulary=vocabulary,
            train_dataset=TaskMixture.seqrec(catalog, walks(), max_history=5, seed=3),
            args=AlignmentConfig(str(folder), **{**SETTINGS, "logging_steps": 1, **options}),
            callbacks=callbacks,
        )

    return make


@pytest.fixture
def before() -> type[Before]:
    """The callback that does something before a step begins."""
    return Before
