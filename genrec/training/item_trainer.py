"""The trainer of models that read items in place of tokens: transformers' `Trainer` on users' histories.

Does not know metrics: what is measured during training arrives as a callback, as with `AlignmentTrainer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import TrainOutput

from genrec.errors import TrainingError
from genrec.tasks.item_sequences import ItemSequences, collate_items
from genrec.training.averaging import WeightAveraging
from genrec.training.checkpoints import resume_point, write_whole
from genrec.training.faults import ITEMS, FiniteLoss, told_faults
from genrec.training.interrupt import PoliteStop
from genrec.training.loss_curve import LossCurve


@dataclass
class ItemTrainingConfig(TrainingArguments):
    """transformers' `TrainingArguments` plus two fields; the defaults are the item-level generator's.

    Args:
        ema_decay: Decay of the exponential moving average of the weights; 0 turns averaging off.
        embedding_weight_decay: Weight decay of all embeddings; None = `weight_decay`.

    Raises:
        TrainingError: A decay outside [0, 1).
    """

    ema_decay: float = field(default=0.99, metadata={"help": "decay of the weights' moving average, 0 = off"})
    embedding_weight_decay: float | None = field(
        default=0.01, metadata={"help": "weight decay of embeddings, None = weight_decay"}
    )

    per_device_train_batch_size: int = 64
    learning_rate: float = 1e-3
    lr_scheduler_type: Any = "constant_with_warmup"
    warmup_steps: float = 100
    adam_beta2: float = 0.98
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    remove_unused_columns: bool = False
    dataloader_pin_memory: bool = field(default_factory=torch.accelerator.is_available)
    save_strategy: Any = "no"
    report_to: Any = "none"
    logging_steps: float = 100
    logging_nan_inf_filter: bool = False  # such a loss stops the run

    def __post_init__(self) -> None:
        """Checks our fields, then lets transformers check its own."""
        if not 0 <= self.ema_decay < 1:
            raise TrainingError(
                "ema_decay is outside [0, 1)", received=self.ema_decay, remedy="use a share below 1"
            )
        super().__post_init__()


class ItemTrainer(Trainer):
    """Trains an item model on histories, resumes at the newest complete checkpoint, averages the weights.

    A signal and faults end it as they end an `AlignmentTrainer`.

    Args:
        model: A model of `genrec.models`.
        train_dataset: The histories.
        args: Training arguments.
        callbacks: More callbacks, such as the evaluation room's `RetrievalCallback`.
    """

    def __init__(
        self,
        *,
        model: PreTrainedModel,
        train_dataset: ItemSequences,
        args: ItemTrainingConfig,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        rows: Any = train_dataset
        super().__init__(model=model, args=args, train_dataset=rows, data_collator=cast(Any, collate_items))
        self.averaging = WeightAveraging(model, args.ema_decay) if args.ema_decay else None
        self.remove_callback(PrinterCallback)
        self.add_callback(_EpochRows(train_dataset))
        if self.averaging is not None:
            self.add_callback(self.averaging)  # before any callback that evaluates
        for callback in callbacks:
            self.add_callback(callback)
        self.output_dir = Path(cast(str, args.output_dir))
        self.loss_curve = LossCurve(self.output_dir)
        self.finite_loss, self.polite_stop = FiniteLoss(ITEMS), PoliteStop()
        for callback in (self.finite_loss, self.loss_curve, self.polite_stop):
            self.add_callback(callback)

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """Trains, from the newest complete checkpoint of the output folder where there is one.

        Args:
            resume_from_checkpoint: A checkpoint folder; None or True for the newest complete one; False to
                start anew.
            args: Passed on to transformers' `Trainer.train`.
            kwargs: Passed on too.

        Raises:
            TrainingInterrupted: SIGTERM or Ctrl-C came; the checkpoint to go on from is written.
            TrainingError: The loss is no number, or memory or disk are full; the setting to change is named.
        """
        for last in (self.loss_curve, self.polite_stop):  # behind callbacks that were added since
            self.remove_callback(last)
            self.add_callback(last)
        checkpoint = resume_point(self.output_dir, resume_from_checkpoint)
        if checkpoint is not None and self.averaging is not None:
            self.averaging.load(checkpoint)
        resume = str(checkpoint) if checkpoint else None
        with self.polite_stop, told_faults(self.output_dir, ITEMS):
            return super().train(resume, *args, **kwargs)

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """A step of transformers' `Trainer`; its loss must be a number."""
        loss: Tensor = super().training_step(*args, **kwargs)
        self.finite_loss.see(loss)
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if not self.args.fp16:  # there the scaler skips such steps by itself
            self.finite_loss.see(norm)
        return norm

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with its own weight decay for embeddings where one is asked for."""
        optimizer = super().create_optimizer(model)
        decay = cast(ItemTrainingConfig, self.args).embedding_weight_decay
        if decay is not None:
            plain = self.accelerator.unwrap_model(self.model)
            decaying = set(self.get_decay_parameter_names(plain))
            kept = {id(p) for name, p in plain.named_parameters() if name in decaying}
            apart = {
                id(module.weight)
                for module in plain.modules()
                if isinstance(module, nn.Embedding) and id(module.weight) in kept
            }
            for group in list(optimizer.param_groups):
                found = [p for p in group["params"] if id(p) in apart]
                if found:
                    group["params"] = [p for p in group["params"] if id(p) not in apart]
                    optimizer.add_param_group({**group, "params": found, "weight_decay": decay})
        return optimizer

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Writes a checkpoint whole or not at all; older ones go only when it is whole."""
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        keep, self.args.save_total_limit = self.args.save_total_limit, None

        def write() -> None:
            super(ItemTrainer, self)._save_checkpoint(model, trial)
            if self.averaging is not None and self.is_world_process_zero():
                self.averaging.save(folder)

        try:
            write_whole(folder, write, keep=keep)
        finally:
            self.args.save_total_limit = keep


class _EpochRows(TrainerCallback):
    """Tells the rows which epoch begins."""

    def __init__(self, rows: ItemSequences) -> None:
        self.rows = rows

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.rows.set_epoch(int(state.epoch or 0))
