"""Sections of a recipe about the model and its training.

Does not know what a stage does with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ModelSection:
    """The model trained from scratch.

    Attributes:
        hidden_size: Width.
        num_layers: Blocks.
        num_heads: Attention heads.
        intermediate_size: Width of the feed-forward layer.
        initializer_range: Standard deviation of the initial weights.
        tie_word_embeddings: One matrix for input rows and head.
        text_vocab_size: Tokens of the text tokenizer trained on the item texts.
    """

    hidden_size: int = 128
    num_layers: int = 2
    num_heads: int = 4
    intermediate_size: int = 256
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    text_vocab_size: int = 1024


@dataclass(frozen=True)
class AlignSection:
    """Training.

    Attributes:
        normalize: Softmax of an ID token in loss and decoding: `allowed`, `level` or `full`.
        max_history: Items of a history that a target is predicted from.
        epochs: Passes over all users.
        max_steps: Optimiser steps in place of epochs; -1 = use epochs.
        batch_size: Users a step, over all processes.
        learning_rate: AdamW's peak rate.
        lr_scheduler: Name of a transformers schedule.
        warmup_steps: Steps of linear warm-up.
        adam_beta2: AdamW's second beta.
        weight_decay: Of the body.
        embedding_weight_decay: Of the embedding matrix.
        residual_dropout: On embeddings and residual branches.
        ema_decay: Of the weights' moving average; 0 = off.
        max_grad_norm: Gradient clipping.
        evaluate_every: Optimiser steps between validations; each writes a checkpoint.
        patience: Validations without a better NDCG@10 before training stops; 0 = never.
        validation_users: Users of the validation sample; 0 = all.
        keep_checkpoints: Checkpoints kept.
        threads: Torch threads a process; 0 = torch's choice.
    """

    normalize: Literal["allowed", "level", "full"] = "allowed"
    max_history: int = 20
    epochs: float = 40
    max_steps: int = -1
    batch_size: int = 64
    learning_rate: float = 1e-3
    lr_scheduler: str = "constant_with_warmup"
    warmup_steps: int = 100
    adam_beta2: float = 0.98
    weight_decay: float = 0.05
    embedding_weight_decay: float = 0.01
    residual_dropout: float = 0.3
    ema_decay: float = 0.99
    max_grad_norm: float = 1.0
    evaluate_every: int = 200
    patience: int = 5
    validation_users: int = 0
    keep_checkpoints: int = 2
    threads: int = 0
