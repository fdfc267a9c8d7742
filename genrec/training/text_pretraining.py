"""A small language model from nothing but texts: the base of alignment where no pretrained one can be had.

Does not know items, Semantic IDs or tasks: its result is a plain model folder, as a pretrained one would be.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from genrec.errors import TrainingError
from genrec.training.processes import on_cpu, process_state
from genrec.training.sharding import is_sharded

logger = logging.getLogger(__name__)

WINDOW = 256  # tokens of a training row


def pretrain_on_texts(
    model: PreTrainedModel,
    text_tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    folder: str | Path,
    *,
    epochs: float = 3,
    batch_size: int = 16,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> PreTrainedModel:
    """Trains a causal language model on texts, each ended by the end token, in windows of 256 tokens.

    Args:
        model: The model, its rows as many as the text tokenizer's tokens.
        text_tokenizer: Its text tokenizer, with an end token.
        texts: What to learn from; special tokens that a text spells stay plain text.
        folder: Scratch folder of the trainer.
        epochs: Passes over the texts.
        batch_size: Windows a step, over all processes of a launch.
        learning_rate: Peak rate of AdamW; cosine to zero.
        seed: Seed of the order of the windows.

    Returns:
        The same model, trained.

    Raises:
        TrainingError: No text at all, or a launch that shares parameters out (ZeRO-3, FSDP2).
    """
    ids = text_tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    end = text_tokenizer.eos_token_id
    joined = [token for row in ids if row for token in (*row, end)]
    if len(joined) < 2:
        raise TrainingError(
            "there is no text to learn a language model from",
            received=f"{len(texts)} texts, all empty",
            remedy="give items with titles or descriptions",
        )
    windows = [joined[start : start + WINDOW] for start in range(0, len(joined), WINDOW)]
    rows = Dataset.from_dict({"input_ids": [window for window in windows if len(window) > 1]})
    arguments = SFTConfig(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=max(1, batch_size // process_state().num_processes),
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=20,
        max_length=WINDOW,
        bf16=False,
        activation_checkpointing=False,
        save_strategy="no",
        report_to="none",
        logging_steps=50,
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_pin_memory=not on_cpu(),
        seed=seed,
        use_cpu=on_cpu(),
    )
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=text_tokenizer)
    if is_sharded(trainer.accelerator):
        raise TrainingError(
            "a language model is made from texts with the whole of it in every process",
            received=trainer.accelerator.distributed_type.value,
            remedy="make it in one process first, by `genrec align RECIPE align.max_steps=1` into the same "
            "output_dir; the launch then finds it",
        )
    result = trainer.train()
    logger.info("%d text tokens, loss at the end %.3f nats a token", len(joined), result.training_loss)
    return model
