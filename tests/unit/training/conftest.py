"""A trainer of a tiny model, for every test of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.tasks import TaskMixture
from genrec.training import AlignmentConfig, AlignmentTrainer


@pytest.fixture
def make_trainer(make_tiny: Callable[..., Any]) -> Callable[..., AlignmentTrainer]:
    def make(folder: Path, callbacks: Any = (), users: int = 24, **options: Any) -> AlignmentTrainer:
        tiny = make_tiny(30)
        catalog = Catalog([f"i{row}" for row in range(30)], tiny.codes, tiny.vocabulary.spec)
        rng = np.random.default_rng(0)
        log = InteractionLog.from_rows(
            {"user_id": f"u{user}", "item_id": f"i{(3 * user + 7 * step) % 30}", "timestamp": step}
            for user in range(users)
            for step in range(int(rng.integers(3, 9)))
        )
        settings = {"max_steps": 12, "save_strategy": "steps", "save_steps": 4, "seed": 3, "max_history": 5}
        arguments = {
            "per_device_train_batch_size": 8,
            "learning_rate": 5e-3,
            "use_cpu": True,
            "disable_tqdm": True,
        }
        return AlignmentTrainer(
            model=tiny.model,
            text_tokenizer=tiny.text_tokenizer,
            vocabulary=tiny.vocabulary,
            train_dataset=TaskMixture.seqrec(catalog, log, max_history=5, seed=3),
            args=AlignmentConfig(str(folder), **{**arguments, **settings, **options}),
            callbacks=callbacks,
        )

    return make
