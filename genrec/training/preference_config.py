"""Arguments of preference optimisation: trl's `DPOConfig` with our defaults and a few fields of our own.

Does not know recipes or models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from trl import DPOConfig

from genrec.decoding import NORMALIZATIONS
from genrec.errors import TrainingError
from genrec.training.trackers import check_trackers

# What of trl's goes with the loss of DPO and S-DPO: all that changes the loss stays as it is by default.
_FIXED: dict[str, Any] = {
    "loss_type": ["sigmoid"],
    "loss_weights": None,
    "ld_alpha": None,
    "f_divergence_type": "reverse_kl",
    "label_smoothing": 0.0,
    "precompute_ref_log_probs": False,
    "use_weighting": False,
    "sync_ref_model": False,
    "max_length": None,
}


@dataclass
class PreferenceConfig(DPOConfig):
    """What trl's `DPOConfig` takes, plus the fields below; `beta` and the trainer's own settings are trl's.

    Args:
        normalize: Which tokens share the softmax of a Semantic-ID token: `allowed` (the trie's children of
            the true prefix, as constrained decoding sees them), `level` or `full`; the one the model was
            aligned with.
        lora_r: Rank of the fresh adapters; 0 = train the whole model, beside a frozen copy of it.
        lora_alpha: Scale of the adapters, times 1 / `lora_r`.

    Raises:
        TrainingError: An unknown normaliser, a negative rank, an option of trl that this loss has no place
            for, or a tracker (`report_to`) that is not installed.
    """

    normalize: str = field(
        default="allowed", metadata={"help": "softmax of an ID token: allowed, level or full"}
    )
    lora_r: int = field(default=16, metadata={"help": "rank of LoRA adapters, 0 = train the whole model"})
    lora_alpha: float = field(default=32.0, metadata={"help": "scale of the adapters, times 1 / lora_r"})

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
        if self.lora_r < 0:
            raise TrainingError("lora_r is negative", received=self.lora_r, remedy="use 0 or more")
        check_trackers(self.report_to)
        super().__post_init__()
        changed = {
            name: getattr(self, name) for name, fixed in _FIXED.items() if getattr(self, name) != fixed
        }
        if changed:
            raise TrainingError(
                "preference optimisation over Semantic IDs has the loss of DPO and S-DPO only",
                received=", ".join(f"{name}={value!r}" for name, value in changed.items()),
                remedy=f"leave out {', '.join(changed)}",
            )
