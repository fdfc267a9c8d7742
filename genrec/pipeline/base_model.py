"""The language model a recipe starts from: pretrained, from scratch, from item texts, or from a bundle.

Does not know tasks or training on Semantic IDs.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from genrec.artifacts import has_artifact, saved_artifact
from genrec.catalog import Catalog, code_vectors
from genrec.config import fingerprint
from genrec.data import ItemTable
from genrec.pipeline.semantic_ids import content_vectors
from genrec.recipe import Recipe
from genrec.recommender import GenerativeRecommender
from genrec.semantic_ids import SemanticIdSpec
from genrec.training import pretrain_on_texts, process_state
from genrec.vocabulary import (
    SemanticIdVocabulary,
    build_small_encoder_decoder,
    build_small_model,
    extend_model,
    extend_text_tokenizer,
    train_text_tokenizer,
)

logger = logging.getLogger(__name__)

KIND = "base_model"
TEXT_FIELDS = ("title", "brand", "categories", "description")


def language_model(
    recipe: Recipe, items: ItemTable, catalog: Catalog, *, for_a_look: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, SemanticIdVocabulary]:
    """Model, extended text tokenizer and vocabulary of a recipe, before training.

    Args:
        recipe: The recipe.
        items: Its items.
        catalog: The Semantic IDs.
        for_a_look: Only shape and size matter: nothing is trained on item texts, or encoded for new rows.
    """
    section = recipe.model
    if recipe.start_from is not None:
        known = GenerativeRecommender.from_pretrained(recipe.start_from)
        return known.model, known.text_tokenizer, known.vocabulary
    if section.base is None and not section.text_epochs:
        text_tokenizer, vocabulary = extended_text_tokenizer(recipe, items, catalog.spec)
        return _from_scratch(recipe, text_tokenizer), text_tokenizer, vocabulary
    codebooks = None
    if section.initialization == "codebook" and not for_a_look:
        codebooks = code_vectors(catalog, content_vectors(recipe, items))
    with tempfile.TemporaryDirectory() as scratch:
        if section.base is not None:
            base = section.base
        elif for_a_look:
            base = scratch
            _save(*_untrained(recipe, items), Path(scratch))
        else:
            base = str(text_base(recipe, items))
        return extend_model(
            base,
            catalog.spec,
            dtype=None if section.dtype == "auto" else section.dtype,
            quantization=None if section.quantization == "none" else section.quantization,
            revision=section.revision,
            initialization="mean" if for_a_look else section.initialization,
            codebooks=codebooks,
            seed=recipe.seed,
        )


def extended_text_tokenizer(
    recipe: Recipe, items: ItemTable, spec: SemanticIdSpec
) -> tuple[PreTrainedTokenizerBase, SemanticIdVocabulary]:
    """Text tokenizer and vocabulary of a recipe, without the model."""
    if recipe.start_from is not None:
        known = GenerativeRecommender.from_pretrained(recipe.start_from)
        return known.text_tokenizer, known.vocabulary
    section = recipe.model
    if section.base is not None:
        return extend_text_tokenizer(section.base, spec, revision=section.revision)
    text_tokenizer = train_text_tokenizer(items.texts(TEXT_FIELDS), section.text_vocab_size)
    return text_tokenizer, SemanticIdVocabulary.extend(text_tokenizer, spec)


def text_base(recipe: Recipe, items: ItemTable) -> Path:
    """A small language model trained on the item texts alone, as a plain model folder; kept and reused.

    In a launch all processes call this: they train it together, the first one writes it.
    """
    folder, state = recipe.output_dir / "base", process_state()
    facts = {"inputs": fingerprint([items.fingerprint(), recipe.model, recipe.seed])}
    missing = not has_artifact(folder, kind=KIND, facts=facts)
    state.wait_for_everyone()  # all have looked before the first one writes
    if missing:
        logger.info("training a small language model on %d item texts", len(items))
        model, text_tokenizer = _untrained(recipe, items)
        texts = items.texts(TEXT_FIELDS)
        epochs = recipe.model.text_epochs
        with tempfile.TemporaryDirectory() as scratch:
            pretrain_on_texts(model, text_tokenizer, texts, scratch, epochs=epochs, seed=recipe.seed)
        if state.is_main_process:
            with saved_artifact(folder, kind=KIND, facts=facts) as temporary:
                _save(model, text_tokenizer, temporary)
        state.wait_for_everyone()
    return folder


def _untrained(recipe: Recipe, items: ItemTable) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """What `text_base` begins with."""
    text_tokenizer = train_text_tokenizer(items.texts(TEXT_FIELDS), recipe.model.text_vocab_size)
    return _from_scratch(recipe, text_tokenizer), text_tokenizer


def _save(model: PreTrainedModel, text_tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    model.save_pretrained(folder)
    text_tokenizer.save_pretrained(folder)


def _from_scratch(recipe: Recipe, text_tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    section = recipe.model
    if section.architecture == "encoder_decoder":
        return build_small_encoder_decoder(
            text_tokenizer,
            hidden_size=section.hidden_size,
            num_layers=section.num_layers,
            num_heads=section.num_heads,
            head_dim=section.head_dim or section.hidden_size // section.num_heads,
            intermediate_size=section.intermediate_size,
            dropout=section.dropout,
            seed=recipe.seed,
        )
    return build_small_model(
        text_tokenizer,
        hidden_size=section.hidden_size,
        num_layers=section.num_layers,
        num_heads=section.num_heads,
        head_dim=section.head_dim,
        intermediate_size=section.intermediate_size,
        max_positions=2048,
        initializer_range=section.initializer_range,
        tie_word_embeddings=section.tie_word_embeddings,
        seed=recipe.seed,
    )
