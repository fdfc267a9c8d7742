"""A language model from texts alone: it learns them, and nothing it reads becomes a special token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genrec.errors import TrainingError
from genrec.training import pretrain_on_texts
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
