"""Training arguments: trl's `SFTConfig` with our defaults and a handful of fields of our own.

Does not know recipes or models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from trl import SFTConfig

from genrec.decoding import NORMALIZATIONS
from genrec.errors import TrainingError
from genrec.training.trackers import check_trackers


@dataclass
class AlignmentConfig(SFTConfig):
    """Everything trl's `SFTConfig` takes, plus the fields below; defaults suit a small model on any machine.

    Args:
        normalize: Which tokens share the softmax of a Semantic-ID token in the loss: `allowed` (the trie's
            children of the true prefix, as constrained decoding sees them), `level` (the position's tokens),
            `full` (everything).
        max_history: Items of a history that a target is predicted from.
        max_length: Most tokens of a templated row, None = no limit; longer prompts are shortened, answers
            never are.
        ema_decay: Decay of the exponential moving average of the weights; 0 turns averaging off.
        residual_dropout: Dropout on the embeddings and on every block's two residual branches, which a
            Qwen3-shaped model has none of; for models trained from scratch.
        embedding_weight_decay: Weight decay of the embedding matrix (with LoRA: of the new rows); None =
            `weight_decay`.
        lora_r: Rank of LoRA adapters on all linear layers, the new rows trained beside them; 0 = train the
            whole model.
        lora_alpha: Scale of the adapters, times 1 / `lora_r`.
        lora_dropout: Dropout on the adapters' input.
        rows_first_steps: Optimiser steps in which the new rows move alone, before everything does.

    Raises:
        TrainingError: An unknown normaliser, a rate outside [0, 1), a negative number of steps, persistent
            data loader workers, or a tracker (`report_to`) that is not installed.
    """

    normalize: str = field(
        default="allowed", metadata={"help": "softmax of an ID token: allowed, level or full"}
    )
    max_history: int = field(
        default=20, metadata={"help": "items of a history that a target is predicted from"}
    )
    ema_decay: float = field(default=0.0, metadata={"help": "decay of the weights' moving average, 0 = off"})
    residual_dropout: float = field(
        default=0.0, metadata={"help": "dropout on embeddings and residual branches"}
    )
    embedding_weight_decay: float | None = field(
        default=None, metadata={"help": "weight decay of the embedding matrix, None = weight_decay"}
    )
    lora_r: int = field(default=0, metadata={"help": "rank of LoRA adapters, 0 = train the whole model"})
    lora_alpha: float = field(default=32.0, metadata={"help": "scale of the adapters, times 1 / lora_r"})
    lora_dropout: float = field(default=0.0, metadata={"help": "dropout on the adapters' input"})
    rows_first_steps: int = field(
        default=0, metadata={"help": "optimiser steps in which the new rows move alone"}
    )

    bf16: bool = False
    activation_checkpointing: bool = False
    max_length: int | None = None
    remove_unused_columns: bool = False
    dataloader_pin_memory: bool = field(default_factory=torch.accelerator.is_available)
    dataloader_drop_last: bool = True
    report_to: Any = "none"
    logging_steps: float = 20
    logging_nan_inf_filter: bool = False  # such a loss stops the run

    def __post_init__(self) -> None:
        """Checks our fields, then lets trl check its own."""
        if self.normalize not in NORMALIZATIONS:
            raise TrainingError(
                "unknown normaliser of the loss",
                received=repr(self.normalize),
                remedy=f"use one of {', '.join(NORMALIZATIONS)}",
            )
        for name in ("lora_r", "rows_first_steps"):
            if getattr(self, name) < 0:
                raise TrainingError(
                    f"{name} is negative", received=getattr(self, name), remedy="use 0 or more"
                )
        for name in ("ema_decay", "residual_dropout", "lora_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingError(
                    f"{name} is outside [0, 1)", received=getattr(self, name), remedy="use a share below 1"
                )
        if self.dataloader_persistent_workers:
            raise TrainingError(
                "persistent data loader workers would draw every epoch as the first one",
                received="dataloader_persistent_workers=True",
                remedy="leave it off: workers are started anew each epoch",
            )
        self.dataset_kwargs = {"skip_prepare_dataset": True}  # rows come as token ids
        check_trackers(self.report_to)
        super().__post_init__()
