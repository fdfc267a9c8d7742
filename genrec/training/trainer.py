"""The trainer: trl's `SFTTrainer` on a task mixture, with the Semantic-ID loss, averaging and exact resume.

Does not know metrics: what is measured during training arrives as a callback.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from peft import PeftModel
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import TrainOutput
from trl import SFTTrainer

from genrec.decoding import Normalization, OutputHead, check_head
from genrec.errors import TrainingError
from genrec.tasks import PromptBuilder, TaskMixture, TokenRows
from genrec.training.adapter_base import trainable_again
from genrec.training.adapters import add_lora, load_weights, row_parameters, save_weights
from genrec.training.averaging import WeightAveraging
from genrec.training.batch_collator import batch_collator
from genrec.training.checkpoints import (
    resume_point,
    write_whole,
)
from genrec.training.compat import trained_weights_kept
from genrec.training.config import AlignmentConfig
from genrec.training.faults import FiniteLoss, told_faults
from genrec.training.interrupt import PoliteStop
from genrec.training.loss import SemanticIdLoss
from genrec.training.loss_curve import LossCurve
from genrec.training.mixed_precision import AdapterCasts, last_states
from genrec.training.residual_dropout import add_residual_dropout
from genrec.training.row_schedule import RowsFirst
from genrec.training.seq2seq_loss import seq2seq_loss
from genrec.training.sharding import (
    KeptLogits,
    WholeModel,
    allow_fsdp_on_cpu,
    forget_zero3_loading,
    is_sharded,
    models_still_whole,
    predicting_positions,
)
from genrec.vocabulary import SemanticIdVocabulary

logger = logging.getLogger(__name__)

LOOKED_AT = 2000  # rows whose length is tried before training


class AlignmentTrainer(SFTTrainer):
    """Trains a language model on a task mixture over Semantic IDs.

    Args:
        model: The language model, its rows already extended by the vocabulary; with `args.lora_r` it is
            wrapped by `add_lora`. One that is wrapped already is trained as it is.
        text_tokenizer: The extended text tokenizer.
        vocabulary: Codes to token ids.
        train_dataset: The tasks' rows, over the catalog whose trie the loss needs.
        args: Training arguments.
        callbacks: More callbacks, such as the evaluation room's `RetrievalCallback`.

    Raises:
        TrainingError: Fewer rows than one batch over all processes; packed rows for an encoder-decoder;
            `rows_first_steps` where gradients are sharded.
        PromptError: A row, of 2,000 that are tried, does not fit `args.max_length`.
    """

    def __init__(
        self,
        *,
        model: PreTrainedModel | PeftModel,
        text_tokenizer: PreTrainedTokenizerBase,
        vocabulary: SemanticIdVocabulary,
        train_dataset: TaskMixture,
        args: AlignmentConfig,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        batch = args.per_device_train_batch_size * args.world_size
        if len(train_dataset) < batch:
            raise TrainingError(
                "there are fewer training rows than one batch needs",
                received=f"{len(train_dataset)} rows for {batch} a step over {args.world_size} process(es)",
                remedy=f"set the batch size to at most {len(train_dataset)}",
            )
        builder = PromptBuilder.for_tokenizer(
            text_tokenizer,
            vocabulary,
            max_history=args.max_history,
            template=train_dataset.template,
            max_length=args.max_length,
            user_tokenizer=train_dataset.user_tokenizer,
        )
        rows = TokenRows(train_dataset, builder)
        if args.max_length is not None:
            for index in np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(int).tolist():
                _ = rows[index]  # one that cannot be made short enough is told of now, not in the middle
        sample = {name: values.tolist() for name, values in rows[0].items()}
        if isinstance(model, PeftModel):
            trainable_again(model)
        elif args.lora_r:
            with models_still_whole():
                model = add_lora(
                    model, vocabulary, args.lora_r, args.lora_alpha, args.lora_dropout, seed=args.seed
                )
        allow_fsdp_on_cpu()
        with trained_weights_kept(model):
            super().__init__(
                model=model,
                args=args,
                train_dataset=Dataset.from_list([sample]),  # trl insists on the class; the rows follow
                processing_class=text_tokenizer,
                data_collator=batch_collator(model, builder, train_dataset, args.device),
            )
        self.train_dataset = self.rows = rows
        self.mixture, self.text_tokenizer = train_dataset, text_tokenizer
        self.prompt_builder = builder
        self.semantic_id_loss = SemanticIdLoss(
            train_dataset.catalog.trie, vocabulary, cast(Normalization, args.normalize), self.args.device
        )
        self.sharded = WholeModel(model, self.accelerator) if is_sharded(self.accelerator) else None
        if self.sharded is not None and args.ema_decay:
            raise TrainingError(
                "weights shared out over processes cannot be averaged",
                received=f"ema_decay={args.ema_decay} under {self.accelerator.distributed_type.value}",
                remedy="set ema_decay to 0 (align.ema_decay in a recipe), or launch with "
                "recipes/accelerate/ddp.yaml or zero2.yaml",
            )
        self.averaging = WeightAveraging(model, args.ema_decay) if args.ema_decay else None
        sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled
        if args.rows_first_steps and sharded:
            raise TrainingError(
                "rows_first_steps needs whole gradients, which DeepSpeed and FSDP do not keep",
                received=f"rows_first_steps={args.rows_first_steps}",
                remedy="set it to 0, or train under DDP",
            )
        if not sharded and not model.config.is_encoder_decoder:
            check_head(model)
        self.adapter_casts = AdapterCasts(model)
        self.rows_first = RowsFirst(model, vocabulary.new_ids, args.rows_first_steps)
        self.add_callback(self.rows_first)
        self.remove_callback(PrinterCallback)  # where there is no progress bar, genrec's own log lines tell
        self.add_callback(_EpochRows(rows))
        if self.averaging is not None:
            self.add_callback(self.averaging)  # before any callback that evaluates
        for callback in callbacks:
            self.add_callback(callback)
        self.output_dir = Path(cast(str, args.output_dir))
        self.loss_curve = LossCurve(self.output_dir)
        self.finite_loss, self.polite_stop = FiniteLoss(), PoliteStop()
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
        config = cast(AlignmentConfig, self.args)
        for last in (self.loss_curve, self.polite_stop):  # behind callbacks that were added since
            self.remove_callback(last)
            self.add_callback(last)
        checkpoint = resume_point(self.output_dir, resume_from_checkpoint)
        if checkpoint is not None and self.averaging is not None:
            self.averaging.load(checkpoint)
        logger.info(
            "training on %s, world size %d, %s",
            config.device,
            config.world_size,
            self.accelerator.distributed_type.value,
        )
        model, share = cast(PreTrainedModel, self.model), config.residual_dropout
        handles = add_residual_dropout(model, share) if share else []
        try:
            resume = str(checkpoint) if checkpoint else None
            with self.polite_stop, told_faults(self.output_dir):
                return super().train(resume, *args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
            if self.sharded is not None:
                forget_zero3_loading()

    def whole_model(self, model: nn.Module) -> AbstractContextManager[Any]:
        """The model in training with all its parameters, for evaluation; all processes enter together.

        Where parameters are shared out (ZeRO-3, FSDP2) the first process gets a copy, which needs room for
        the whole model there, and the others None.

        Args:
            model: The model in training, as callbacks get it.
        """
        if self.sharded is None:
            return nullcontext(model)
        return self.sharded.gathered(self.model_wrapped)

    def load_weights(self, folder: Path) -> Any:
        """The model with weights that were saved during training; all processes call this together.

        Where parameters are shared out the first process gets a copy, the others None.

        Args:
            folder: What `genrec.training.save_weights` wrote.
        """
        with self.whole_model(cast(nn.Module, self.model)) as whole:
            return None if whole is None else load_weights(whole, folder)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Mean loss of a labelled token over the whole step's batch, in nats, in place of trl's."""
        labels = inputs["labels"]
        if cast(PreTrainedModel, self.model).config.is_encoder_decoder:
            total = seq2seq_loss(model, inputs, self.semantic_id_loss)
        else:
            total = self._packed_loss(model, inputs)
        if num_items_in_batch is None:
            loss = total / (labels[:, 1:] != -100).sum().clamp(min=1)
        else:
            # the count is over all processes while gradients are averaged over them
            loss = total * self.accelerator.num_processes / num_items_in_batch
        return (loss, {"loss": loss}) if return_outputs else loss

    def _packed_loss(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        if self.sharded is not None:
            return self._kept_logits_loss(model, inputs)
        replicated = isinstance(model, nn.DataParallel)  # only what its replicas return is gathered
        with last_states(self.model) as caught:
            out = model(
                input_ids=inputs["input_ids"],
                position_ids=inputs["position_ids"],
                output_hidden_states=replicated,
                use_cache=False,
                logits_to_keep=1,
            )
        states = out.hidden_states[-1] if replicated else caught[0]
        head = OutputHead.of(self.model)
        return self.semantic_id_loss(states, head, inputs["input_ids"], inputs["labels"])

    def _kept_logits_loss(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        ids, labels = inputs["input_ids"], inputs["labels"]
        kept = predicting_positions(labels)
        out = model(input_ids=ids, position_ids=inputs["position_ids"], use_cache=False, logits_to_keep=kept)
        head = KeptLogits(out.logits, kept)
        return self.semantic_id_loss(head.states(ids.shape[1]), head, ids, labels)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with its own weight decay for the embedding matrix where one is asked for."""
        optimizer = super().create_optimizer(model)
        decay = cast(AlignmentConfig, self.args).embedding_weight_decay
        if decay is not None:
            unwrapped = self.accelerator.unwrap_model(self.model)
            rows = row_parameters(unwrapped)
            chosen = {id(p) for p in (rows if isinstance(unwrapped, PeftModel) else rows[:1])}
            for group in list(optimizer.param_groups):
                own = [p for p in group["params"] if id(p) in chosen]
                if own:
                    group["params"] = [p for p in group["params"] if id(p) not in chosen]
                    optimizer.add_param_group({**group, "params": own, "weight_decay": decay})
        return optimizer

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """A step of transformers' `Trainer`; its loss must be a number."""
        with self.adapter_casts.left_to_autocast(self.accelerator.native_amp and self.sharded is None):
            loss: Tensor = super().training_step(*args, **kwargs)
        self.finite_loss.see(loss)
        self.rows_first.after_backward(self.state.global_step)
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if not self.args.fp16:  # there the scaler skips such steps by itself
            self.finite_loss.see(norm)
        return norm

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        model = self.accelerator.unwrap_model(self.model)
        if not isinstance(model, PeftModel):
            super()._save(output_dir, state_dict)
        elif self.args.should_save:
            folder = output_dir or cast(str, self.args.output_dir)
            save_weights(model, folder, state_dict=state_dict)
            cast(PreTrainedTokenizerBase, self.processing_class).save_pretrained(folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Writes a checkpoint whole or not at all; older ones go only when it is whole."""
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        keep, self.args.save_total_limit = self.args.save_total_limit, None

        def write() -> None:
            super(AlignmentTrainer, self)._save_checkpoint(model, trial)
            if self.averaging is not None and self.is_world_process_zero():
                self.averaging.save(folder)

        try:
            sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled
            write_whole(folder, write, keep=keep, sharded=sharded)
        finally:
            self.args.save_total_limit = keep


class _EpochRows(TrainerCallback):
    """Tells the rows which epoch begins."""

    def __init__(self, rows: TokenRows) -> None:
        self.rows = rows

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.rows.set_epoch(int(state.epoch or 0))
