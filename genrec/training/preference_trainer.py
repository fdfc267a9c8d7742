"""Preference optimisation over real items: trl's `DPOTrainer` with the probabilities of constrained decoding.

Does not know metrics, nor where preferences come from.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from transformers.trainer_utils import TrainOutput
from trl import DPOTrainer

from genrec.decoding import Normalization, OutputHead
from genrec.errors import TrainingError
from genrec.tasks import PreferencePairs, PromptBuilder
from genrec.training.adapters import add_lora, merge, save_weights
from genrec.training.checkpoints import (
    resume_point,
    write_whole,
)
from genrec.training.compat import plain_forward
from genrec.training.faults import PREFERRING, FiniteLoss, told_faults
from genrec.training.interrupt import PoliteStop
from genrec.training.loss import SemanticIdLoss
from genrec.training.loss_curve import LossCurve
from genrec.training.mixed_precision import last_states
from genrec.training.preference_collator import PreferenceCollator
from genrec.training.preference_config import PreferenceConfig
from genrec.training.sharding import is_sharded

logger = logging.getLogger(__name__)


class PreferenceTrainer(DPOTrainer):
    """Trains an aligned model to prefer the items users chose over those they did not.

    DPO (arXiv 2305.18290, eq. 7) for one rejected item a row, S-DPO (arXiv 2406.09215, eq. 9) for several.
    The probability of an item is that of its Semantic ID, each token normalised as in the alignment's loss.

    The reference is the model as it is handed over. An adapter is merged first and a fresh one put on: trl
    would copy a trained adapter as reference but leave the rows of new tokens out of the copy, so that
    reference and model differ from the start. Before the first step the loss is therefore ln(1 + n) with n
    rejected items a row, exactly.

    Args:
        model: The aligned model; used up where it has an adapter, as `merge` changes its base in place.
        prompt_builder: The builder the model was aligned with: `AlignmentTrainer.prompt_builder`, or
            `recommender.ranker.builder` of a bundle.
        train_dataset: The preferences.
        args: Training arguments.
        ref_model: Another reference than the model as it is handed over.
        callbacks: More callbacks.

    Attributes:
        model: With `args.lora_r` the merged model with the fresh adapter; `genrec.training.merge` makes a
            plain model of it.

    Raises:
        TrainingError: An encoder-decoder, fewer rows than one batch over all processes, or a launch that
            shares parameters out (ZeRO-3, FSDP2).
    """

    def __init__(
        self,
        *,
        model: PreTrainedModel | PeftModel,
        prompt_builder: PromptBuilder,
        train_dataset: PreferencePairs,
        args: PreferenceConfig,
        ref_model: PreTrainedModel | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        batch = args.per_device_train_batch_size * args.world_size
        if len(train_dataset) < batch:
            raise TrainingError(
                "there are fewer preferences than one batch needs",
                received=f"{len(train_dataset)} rows for {batch} a step over {args.world_size} process(es)",
                remedy=f"set the batch size to at most {len(train_dataset)}",
            )
        if model.config.is_encoder_decoder:
            raise TrainingError(
                "preferences are learned by decoder-only models",
                received=type(model).__name__,
                remedy="align a decoder-only model",
            )
        if isinstance(model, PeftModel):
            logger.info("the adapter is merged into its base, which becomes the reference")
            model = merge(model)
        if args.lora_r:
            vocabulary = prompt_builder.vocabulary
            model = add_lora(model, vocabulary, args.lora_r, args.lora_alpha, seed=args.seed)
        elif ref_model is None:
            ref_model = plain_forward(copy.deepcopy(model))
        super().__init__(
            model=model,
            ref_model=ref_model,
            args=args,
            train_dataset=Dataset.from_dict({"prompt_ids": [[0]]}),  # trl insists on the class; rows follow
            processing_class=cast(PreTrainedTokenizerBase, prompt_builder.text_tokenizer),
            data_collator=PreferenceCollator(prompt_builder.pad_token_id),
            callbacks=list(callbacks),
        )
        if is_sharded(self.accelerator):
            raise TrainingError(
                "preference optimisation needs the whole model in every process",
                received=self.accelerator.distributed_type.value,
                remedy="launch with recipes/accelerate/ddp.yaml or zero2.yaml",
            )
        self.train_dataset = _Rows(train_dataset, prompt_builder)
        self.sides = 1 + train_dataset.rejected.shape[1]
        self.semantic_id_loss = SemanticIdLoss(
            train_dataset.catalog.trie,
            prompt_builder.vocabulary,
            cast(Normalization, args.normalize),
            self.args.device,
        )
        self.output_dir = Path(cast(str, args.output_dir))
        self.finite_loss, self.polite_stop = FiniteLoss(PREFERRING), PoliteStop()
        self.remove_callback(PrinterCallback)
        self.add_callback(LossCurve(self.output_dir))
        self.add_callback(self.finite_loss)
        self.add_callback(self.polite_stop)  # last: it leaves once the others have seen the checkpoint

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
        checkpoint = resume_point(self.output_dir, resume_from_checkpoint)
        with self.polite_stop, told_faults(self.output_dir, PREFERRING):
            return super().train(str(checkpoint) if checkpoint else None, *args, **kwargs)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Mean loss of a row, in nats, in place of trl's."""
        ours = self.log_probs(model, inputs)
        with torch.no_grad():
            if self.ref_model is not None:
                theirs = self.log_probs(self.ref_model, inputs)
            else:
                with self.accelerator.unwrap_model(model).disable_adapter():
                    theirs = self.log_probs(model, inputs)
        rewards = self.beta * (ours - theirs)  # [1 + n, rows]
        gaps = rewards[1:] - rewards[0]  # [n, rows]
        loss = functional.softplus(gaps.logsumexp(0)).mean()  # -log sigmoid(-x) = softplus(x)
        metrics = self._metrics["train" if model.training else "eval"]
        metrics["rewards/chosen"].append(float(rewards[0].detach().mean()))
        metrics["rewards/rejected"].append(float(rewards[1:].detach().mean()))
        metrics["rewards/accuracies"].append(float((gaps.detach() < 0).float().mean()))
        return (loss, {"loss": loss}) if return_outputs else loss

    def log_probs(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """Log-probability of the chosen item and of each rejected one, float32 `[1 + n, rows]`, in nats."""
        replicated = isinstance(model, nn.DataParallel)  # only what its replicas return is gathered
        plain = self.accelerator.unwrap_model(model)
        with last_states(plain) as caught:
            out = model(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                output_hidden_states=replicated,
                use_cache=False,
                logits_to_keep=1,
            )
        states = out.hidden_states[-1] if replicated else caught[0]
        found = self.semantic_id_loss.log_probs(
            states, OutputHead.of(plain), inputs["input_ids"], inputs["labels"]
        )
        return found.view(self.sides, -1)

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

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset  # rows are token ids already

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        model = self.accelerator.unwrap_model(self.model)
        if not isinstance(model, PeftModel):
            super()._save(output_dir, state_dict)
        elif self.args.should_save:
            folder = output_dir or cast(str, self.args.output_dir)
            save_weights(model, folder, state_dict=state_dict)
            cast(PreTrainedTokenizerBase, self.processing_class).save_pretrained(folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Writes a checkpoint whole or not at all."""
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        keep, self.args.save_total_limit = self.args.save_total_limit, None
        write = super()._save_checkpoint
        try:
            write_whole(folder, lambda: write(model, trial), keep=keep)
        finally:
            self.args.save_total_limit = keep


class _Rows:
    """Preferences as token ids, map-style."""

    def __init__(self, pairs: PreferencePairs, builder: PromptBuilder) -> None:
        self.pairs, self.builder = pairs, builder

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.pairs.row(index, self.builder)
