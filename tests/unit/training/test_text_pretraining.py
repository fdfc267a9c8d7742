"""A language model from texts alone: it learns them, and nothing it reads becomes a special token."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genrec.errors import TrainingError
from genrec.training import pretrain_on_texts, text_pretraining
from genrec.vocabulary import build_small_model, train_text_tokenizer

TEXTS = ["soft brush for dry skin", "a brush of oak", "skin cream with oak oil <|pad|>"] * 40


def test_it_learns_the_texts_and_returns_the_same_model(tmp_path: Path) -> None:
    text_tokenizer = train_text_tokenizer(TEXTS, 300)
    model = build_small_model(text_tokenizer, hidden_size=16, num_layers=1, num_heads=2, intermediate_size=16)
    ids = torch.tensor(
        [
            text_tokenizer(" ".join(TEXTS[:2]), add_special_tokens=False, split_special_tokens=True)[
                "input_ids"
            ]
        ]
    )

    def loss() -> float:
        with torch.no_grad():
            return float(model.eval()(input_ids=ids, labels=ids).loss)

    before = loss()
    trained = pretrain_on_texts(
        model, text_tokenizer, TEXTS, tmp_path, epochs=20, batch_size=2, learning_rate=1e-2
    )
    assert trained is model
    assert loss() < 0.75 * before


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    text_tokenizer = train_text_tokenizer(TEXTS, 300)
    model = build_small_model(text_tokenizer, hidden_size=16, num_layers=1, num_heads=2, intermediate_size=16)
    with pytest.raises(TrainingError, match="no text to learn"):
        pretrain_on_texts(model, text_tokenizer, ["", ""], tmp_path)


def test_the_processes_of_a_launch_share_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Trainer:
        accelerator = None

        def __init__(self, *, args: Any, **_: Any) -> None:
            asked.append(args.per_device_train_batch_size)

        def train(self) -> Any:
            return SimpleNamespace(training_loss=1.0)

    sharded = iter([False, True])
    monkeypatch.setattr(text_pretraining, "SFTTrainer", Trainer)
    monkeypatch.setattr(text_pretraining, "is_sharded", lambda accelerator: next(sharded))
    monkeypatch.setattr(text_pretraining, "process_state", lambda: SimpleNamespace(num_processes=4))
    text_tokenizer = train_text_tokenizer(TEXTS, 300)
    model = build_small_model(text_tokenizer, hidden_size=16, num_layers=1, num_heads=2, intermediate_size=16)
    pretrain_on_texts(model, text_tokenizer, TEXTS, tmp_path, batch_size=16)
    Trainer.accelerator = SimpleNamespace(distributed_type=SimpleNamespace(value="FSDP"))
    with pytest.raises(TrainingError, match="make it in one process first"):
        pretrain_on_texts(model, text_tokenizer, TEXTS, tmp_path, batch_size=3)
    assert asked == [4, 1]
