"""Training an item model on a split: the best weights come back, and a finished run is taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrec.baselines import SASRec, sasrec_model
from genrec.baselines.grid_search import mean_ndcg
from genrec.data import InteractionLog
from genrec.pipeline.item_models import train_item_model
from genrec.training import ItemTrainingConfig


def test_the_best_weights_by_validation_come_back(tmp_path: Path) -> None:
    ids = [f"i{row}" for row in range(12)]
    split = InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": ids[(5 * user + 7 * step) % 12], "timestamp": step}
        for user in range(24)
        for step in range(5 + user % 4)
    ).leave_one_out()

    def train() -> tuple[SASRec, float, int]:
        model = sasrec_model(12, hidden_size=16, num_layers=1, max_history=6, dropout=0.0)
        args = ItemTrainingConfig(
            str(tmp_path), max_steps=60, learning_rate=1e-2, use_cpu=True, disable_tqdm=True, warmup_steps=0
        )
        best, callback = train_item_model(
            model, lambda m: SASRec(m, ids), split, ids, args, evaluate_every=10, patience=2
        )
        return SASRec(best, ids), callback.best_value, callback.best_step

    ranker, value, step = train()
    assert value > 0.9
    assert mean_ndcg(ranker, split.validation) == pytest.approx(value, abs=1e-6)
    assert mean_ndcg(ranker, split.test) > 0.9
    again, same_value, same_step = train()
    assert (same_value, same_step) == (value, step)
    assert mean_ndcg(again, split.validation) == pytest.approx(value, abs=1e-6)
