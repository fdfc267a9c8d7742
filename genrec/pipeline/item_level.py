"""A recipe with `model.architecture: item_level`: the item-level generator, trained to a recommender.

Does not know test cases: early stopping and the weight of content look at the validation cases.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from genrec.baselines import ContentKNN, Part, Popularity, tune_mixture
from genrec.catalog import Catalog
from genrec.config import to_mapping
from genrec.embeddings import EmbeddingTable, LsaItemEncoder, PrincipalComponents, successor_vectors
from genrec.errors import ConfigError
from genrec.models import ItemLevelModel
from genrec.pipeline.inputs import Inputs
from genrec.pipeline.item_models import train_item_model
from genrec.pipeline.item_teacher import item_teacher
from genrec.pipeline.semantic_ids import content_vectors, load_catalog, load_item_tokenizer
from genrec.recipe import Recipe
from genrec.recommender import ItemLevelRanker, ItemLevelRecommender, ItemLevelSettings
from genrec.tasks import ItemAugmentation, ItemNeighbours
from genrec.training import ItemTrainingConfig, on_cpu, process_state

logger = logging.getLogger(__name__)

SUCCESSOR_DIM = 192  # of either half
WEIGHTS = (1.0, 0.25, 0.5, 2.0, 4.0, 0.1, 0.0)  # of content-kNN's shares, tried on validation; 0 = none


def train_item_level(recipe: Recipe, inputs: Inputs, folder: Path) -> ItemLevelRecommender:
    """Trains the item-level generator of a recipe.

    Args:
        recipe: The recipe; `align.normalize` is always `allowed` here, the tasks are `seqrec` alone.
        inputs: Its data.
        folder: Where checkpoints and the best weights go.

    Raises:
        ConfigError: A bundle to go on from, which this architecture cannot.
    """
    if recipe.start_from is not None:
        raise ConfigError(
            "an item-level generator cannot go on from a bundle",
            received=f"start_from={recipe.start_from}",
            remedy="train it anew, or give it new items by genrec.models.grown",
        )
    catalog, section = load_catalog(recipe), recipe.align
    embeddings = content_vectors(recipe, inputs.items)
    model = untrained_model(recipe, catalog, content_channels(recipe, inputs, embeddings, catalog.item_ids))

    def make_ranker(trained: Any) -> ItemLevelRanker:
        return ItemLevelRanker(trained, catalog, num_beams=recipe.decode.num_beams, name="genrec")

    best, callback = train_item_model(
        model,
        make_ranker,
        inputs.split,
        catalog.item_ids,
        training_arguments(recipe, folder),
        evaluate_every=section.evaluate_every,
        patience=section.patience,
        validation_users=section.validation_users,
        mask_history=recipe.evaluate.mask_history,
        augmentation=augmentation(recipe, embeddings, catalog.item_ids),
        teacher=item_teacher(recipe, inputs, embeddings, catalog.item_ids, folder / "teacher"),
    )
    settings = _settings(recipe, inputs, catalog, make_ranker(best), folder)
    return ItemLevelRecommender(
        best,
        catalog,
        inputs.items.subset(catalog.item_ids),
        settings=settings,
        embeddings=embeddings,
        item_tokenizer=load_item_tokenizer(recipe),
        recipe=to_mapping(recipe),
        metrics={"validation": {"ndcg@10": callback.best_value, "step": callback.best_step}},
    )


def untrained_model(recipe: Recipe, catalog: Catalog, content: np.ndarray) -> ItemLevelModel:
    """The item-level generator of a recipe before training.

    Args:
        recipe: The recipe.
        catalog: The Semantic IDs.
        content: float `[items, width]`, in the catalog's order.
    """
    levels = recipe.item_level.node_levels
    return ItemLevelModel.for_catalog(
        catalog.trie,
        content,
        seed=recipe.seed,
        node_levels=catalog.trie.length if levels is None else levels,
        label_smoothing=recipe.item_level.label_smoothing,
        hidden_size=recipe.model.hidden_size,
        num_layers=recipe.model.num_layers,
        num_heads=recipe.model.num_heads,
        intermediate_size=recipe.model.intermediate_size,
        initializer_range=recipe.model.initializer_range,
        max_positions=recipe.align.max_history,
        dropout=recipe.align.residual_dropout,
    )


def content_channels(
    recipe: Recipe, inputs: Inputs, embeddings: EmbeddingTable, item_ids: list[str]
) -> np.ndarray:
    """The content channels of a recipe side by side, float32 `[items, width]`, without what is held out."""
    section, found = recipe.item_level, []
    for channel in section.channels:
        match channel:
            case "content":
                table = embeddings
            case "words":
                encoder = LsaItemEncoder(recipe.embeddings.fields, dim=section.channel_dim, seed=recipe.seed)
                table = encoder.fit(inputs.items).encode(inputs.items)
            case _:
                dim = min(SUCCESSOR_DIM, len(item_ids) - 1)
                table = successor_vectors(inputs.split.train, item_ids, dim=dim, seed=recipe.seed)
        components = PrincipalComponents(min(section.channel_dim, table.dim))
        found.append(components.fit(table).apply(table).vectors_for(item_ids))
    return np.concatenate(found, axis=1)


def augmentation(recipe: Recipe, embeddings: EmbeddingTable, item_ids: list[str]) -> ItemAugmentation | None:
    """How a recipe varies the training rows; None = not at all."""
    section = recipe.item_level
    names = [field.name for field in fields(ItemAugmentation) if field.name != "neighbours"]
    shares = {name: getattr(section, name) for name in names}
    if not any(shares.values()):
        return None
    soft = section.soft_targets or section.soft_inputs
    neighbours = ItemNeighbours.of(embeddings.vectors_for(item_ids)) if soft else None
    return ItemAugmentation(**shares, neighbours=neighbours)


def training_arguments(recipe: Recipe, folder: Path) -> ItemTrainingConfig:
    """The recipe's `align` section as training arguments of an item model in this process.

    Raises:
        ConfigError: The batch does not divide by the number of processes.
    """
    section, processes = recipe.align, process_state().num_processes
    shares = processes * section.gradient_accumulation
    if section.batch_size % shares:
        raise ConfigError(
            "the batch does not divide among the processes and the passes of a step",
            received=f"align.batch_size={section.batch_size} for {shares} shares",
            remedy=f"set align.batch_size to a multiple of {shares}",
        )
    return ItemTrainingConfig(
        output_dir=str(folder),
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
        ema_decay=section.ema_decay,
        max_grad_norm=section.max_grad_norm,
        bf16=section.bf16,
        report_to=section.report_to,
        logging_steps=section.logging_steps,
        save_total_limit=section.keep_checkpoints,
        disable_tqdm=not sys.stderr.isatty(),
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=on_cpu(),
        ddp_find_unused_parameters=False,
    )


def _settings(
    recipe: Recipe, inputs: Inputs, catalog: Catalog, ranker: ItemLevelRanker, folder: Path
) -> ItemLevelSettings:
    popular, _ = Popularity(inputs.split.train, catalog.item_ids).rank([[]], min(100, len(catalog)))
    weight = 0.0
    if recipe.decode.mix_content:
        mixture = tune_mixture(
            [Part(ranker)],
            ContentKNN(content_vectors(recipe, inputs.items), catalog.item_ids),
            inputs.split.validation,
            weights=WEIGHTS,
            scales=("share",),
            log_file=folder / "content_weight.jsonl",
            name="genrec + content",
        )
        weight = mixture.parts[-1].weight
    return ItemLevelSettings(
        num_beams=recipe.decode.num_beams,
        content_weight=weight,
        popular_items=tuple(item for item in popular[0] if item),
    )
