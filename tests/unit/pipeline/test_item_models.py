"""Training an item model on a split: the best weights come back, and a finished run is taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genrec.baselines import SASRec, sasrec_model
from genrec.baselines.grid_search import mean_ndcg
from genrec.data import InteractionLog
from genrec.errors import ConfigError
from genrec.models import ItemSoftmaxModel
from genrec.pipeline.item_models import train_item_model, tune_item_model
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


def test_the_best_setting_is_kept_and_all_are_told(tmp_path: Path) -> None:
    ids = [f"i{row}" for row in range(12)]
    split = InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": ids[(5 * user + 7 * step) % 12], "timestamp": step}
        for user in range(24)
        for step in range(5 + user % 4)
    ).leave_one_out()

    def make(setting: dict[str, Any]) -> tuple[ItemSoftmaxModel, ItemTrainingConfig]:
        model = sasrec_model(12, hidden_size=16, num_layers=1, max_history=6, dropout=0.0)
        folder = tmp_path / f"rate-{setting['learning_rate']}"
        args = ItemTrainingConfig(
            str(folder), max_steps=30, use_cpu=True, disable_tqdm=True, warmup_steps=0, ema_decay=0, **setting
        )
        return model, args

    grid = [{"learning_rate": 1e-5}, {"learning_rate": 1e-2}]
    best, setting = tune_item_model(
        make,
        grid,
        lambda m: SASRec(m, ids),
        split,
        ids,
        log_file=tmp_path / "log" / "sasrec.jsonl",
        evaluate_every=15,
    )
    assert setting == grid[1]
    rows = [json.loads(line) for line in (tmp_path / "log" / "sasrec.jsonl").read_text().splitlines()]
    assert [row["learning_rate"] for row in rows] == [1e-5, 1e-2]
    assert rows[1]["ndcg@10"] > rows[0]["ndcg@10"]
    assert mean_ndcg(SASRec(best, ids), split.validation) == pytest.approx(rows[1]["ndcg@10"], abs=1e-6)
    with pytest.raises(ConfigError, match="no setting"):
        tune_item_model(make, [], lambda m: SASRec(m, ids), split, ids, log_file=tmp_path / "x")
