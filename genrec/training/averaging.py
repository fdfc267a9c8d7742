"""Exponential moving average of the weights during training.

Does not know what the averaged weights are used for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from genrec.errors import TrainingError

FILE_NAME = "averaged_weights.safetensors"


class WeightAveraging(TrainerCallback):
    """Keeps a shadow of every trained weight.

    After each optimiser step: shadow += (1 - decay) * (weight - shadow). The decay is warmed up as
    min(decay, (1 + step) / (10 + step)), so that the first shadows follow closely.

    Args:
        model: The model in training, not wrapped.
        decay: Share of the shadow kept each step, in [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.shadows: dict[str, Tensor] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Starts the shadows from the weights, unless a checkpoint brought them."""
        if self.shadows is None:
            self.shadows = {name: p.detach().clone() for name, p in self.weights.items()}

    @torch.no_grad()
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Moves the shadows towards the weights."""
        decay = min(self.decay, (1 + state.global_step) / (10 + state.global_step))
        shadows = self._started()
        torch._foreach_lerp_(list(shadows.values()), [p.detach() for p in self.weights.values()], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model carries the averaged weights."""
        shadows = self._started()
        self._swap(shadows)
        try:
            yield
        finally:
            self._swap(shadows)

    @torch.no_grad()
    def _swap(self, shadows: dict[str, Tensor]) -> None:
        for name, weight in self.weights.items():
            kept = weight.detach().clone()
            weight.copy_(shadows[name])
            shadows[name].copy_(kept)

    def _started(self) -> dict[str, Tensor]:
        if self.shadows is None:
            raise TrainingError(
                "the weights' average was asked for before training began",
                received="no average",
                remedy="call trainer.train() first",
            )
        return self.shadows

    def save(self, folder: Path) -> None:
        """Writes the shadows into a checkpoint's folder."""
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in self._started().items()}, folder / FILE_NAME)

    def load(self, folder: Path) -> None:
        """Reads what `save` wrote.

        Raises:
            TrainingError: The checkpoint was written without averaging, or for another model.
        """
        from safetensors.torch import load_file

        path = folder / FILE_NAME
        if not path.exists():
            raise TrainingError(
                "the checkpoint holds no averaged weights",
                received=str(folder),
                remedy="resume with ema_decay=0, or start again in an empty output folder",
            )
        loaded = load_file(path)
        if {k: v.shape for k, v in loaded.items()} != {k: p.shape for k, p in self.weights.items()}:
            raise TrainingError(
                "the checkpoint's averaged weights belong to another model",
                received=str(path),
                remedy="start again in an empty output folder",
            )
        self.shadows = {name: loaded[name].to(p.device) for name, p in self.weights.items()}
