"""New rows first, then everything: for the first steps nothing else of the model moves.

Does not know losses or tasks. What happens at a step depends on the step's number alone, so a run that is
resumed in the middle goes on as one that was not cut off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from genrec.training.adapters import row_parameters


class RowsFirst(TrainerCallback):
    """Keeps all but the new rows as they are for the first optimiser steps.

    Gradients of everything else are dropped after each backward pass, before they are clipped; in a whole
    matrix those of the old rows become zeros, and its weight decay is off. An optimiser leaves a parameter
    without gradient alone, and its moments for the old rows stay zero. When everything begins to move the
    moments of these matrices start anew, so that old rows do not meet a bias correction that is over.

    Args:
        model: The model in training, not wrapped.
        new_ids: int64, token ids of the new rows.
        steps: Optimiser steps in which they move alone.
    """

    def __init__(self, model: Any, new_ids: np.ndarray, steps: int) -> None:
        self.model = model
        self.steps = steps
        self.rows = {id(parameter): parameter for parameter in row_parameters(model)}
        self.whole = {key for key, p in self.rows.items() if len(p) > len(new_ids)}  # with old rows in them
        self.new_ids = torch.from_numpy(new_ids)
        self._decays: list[tuple[dict[str, Any], float]] = []

    @torch.no_grad()
    def after_backward(self, step: int) -> None:
        """Drops what may not move at optimiser step `step` (counted from 0)."""
        if step >= self.steps:
            return
        for parameter in self.model.parameters():
            if parameter.grad is None:
                continue
            if id(parameter) not in self.rows:
                parameter.grad = None
            elif id(parameter) in self.whole:
                ids = self.new_ids.to(parameter.device)
                kept = parameter.grad[ids]
                parameter.grad.zero_()
                parameter.grad[ids] = kept

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Turns the rows' weight decay off; at the first step of everything, starts their moments anew."""
        optimizer: torch.optim.Optimizer = kwargs["optimizer"]
        whole = [p for key, p in self.rows.items() if key in self.whole]
        if state.global_step == self.steps:
            for parameter in whole:
                optimizer.state.pop(parameter, None)
        elif state.global_step < self.steps and whole:
            for group in optimizer.param_groups:
                if any(id(p) in self.whole for p in group["params"]):
                    self._decays.append((group, group["weight_decay"]))
                    group["weight_decay"] = 0.0

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Turns weight decay on again."""
        for group, decay in self._decays:
            group["weight_decay"] = decay
        self._decays.clear()
