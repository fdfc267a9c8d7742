"""A recipe's trainer: its model, its tasks' rows and its training arguments put together.

Does not know validation or bundles.
"""

from __future__ import annotations

import sys
from pathlib import Path

from genrec.catalog import Catalog
from genrec.errors import ConfigError
from genrec.pipeline.base_model import language_model
from genrec.pipeline.inputs import Inputs
from genrec.pipeline.mixture import training_mixture
from genrec.recipe import Recipe
from genrec.training import AlignmentConfig, AlignmentTrainer, on_cpu, process_state


def build_trainer(
    recipe: Recipe,
    inputs: Inputs,
    catalog: Catalog,
    folder: Path,
    *,
    for_a_look: bool = False,
) -> AlignmentTrainer:
    """The trainer of a recipe, before its first step.

    Args:
        recipe: The recipe.
        inputs: Its data.
        catalog: The Semantic IDs.
        folder: Where checkpoints go.
        for_a_look: Nothing is to be learned from it: the base is not trained on item texts first, and texts
            that a language model is to write need not be there yet.
    """
    model, text_tokenizer, vocabulary = language_model(recipe, inputs.items, catalog, for_a_look=for_a_look)
    return AlignmentTrainer(
        model=model,
        text_tokenizer=text_tokenizer,
        vocabulary=vocabulary,
        train_dataset=training_mixture(
            recipe, inputs, catalog, unwritten="attributes" if for_a_look else "error"
        ),
        args=training_arguments(recipe, folder),
    )


def training_arguments(recipe: Recipe, folder: Path) -> AlignmentConfig:
    """The recipe's `align` section as training arguments of this process.

    Raises:
        ConfigError: The batch does not divide by the number of processes.
    """
    section, processes = recipe.align, process_state().num_processes
    shares = processes * section.gradient_accumulation
    if section.batch_size % shares:
        raise ConfigError(
            "the batch does not divide among the processes and the passes of a step",
            received=f"align.batch_size={section.batch_size} for {processes} processes and "
            f"align.gradient_accumulation={section.gradient_accumulation}",
            remedy=f"set align.batch_size to a multiple of {shares}",
        )
    return AlignmentConfig(
        output_dir=str(folder),
        normalize=section.normalize,
        max_history=section.max_history,
        num_train_epochs=section.epochs,
        max_steps=section.max_steps,
        per_device_train_batch_size=section.batch_size // shares,
        gradient_accumulation_steps=section.gradient_accumulation,
        learning_rate=section.learning_rate,
        lr_scheduler_type=section.lr_scheduler,
        warmup_steps=section.warmup_steps,
        adam_beta2=section.adam_beta2,
        weight_decay=section.weight_decay,
        embedding_weight_decay=section.embedding_weight_decay,
        residual_dropout=section.residual_dropout,
        lora_r=section.lora_r,
        lora_alpha=section.lora_alpha,
        lora_dropout=section.lora_dropout,
        rows_first_steps=section.rows_first_steps,
        ema_decay=section.ema_decay,
        max_grad_norm=section.max_grad_norm,
        max_length=section.max_length,
        bf16=section.bf16,
        activation_checkpointing=section.activation_checkpointing,
        report_to=section.report_to,
        save_strategy="no",  # the validation callback asks for checkpoints
        save_total_limit=section.keep_checkpoints,
        logging_steps=section.logging_steps,
        disable_tqdm=not sys.stderr.isatty(),
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=on_cpu(),
        ddp_find_unused_parameters=False,
    )
