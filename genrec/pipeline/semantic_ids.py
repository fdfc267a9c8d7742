"""Stage `build-ids`: item texts or vectors to a catalog of unique Semantic IDs.

Does not know users' histories or models.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from genrec.artifacts import file_sha256, has_artifact, saved_artifact
from genrec.catalog import Catalog
from genrec.config import fingerprint, to_mapping
from genrec.data import ItemTable
from genrec.embeddings import (
    EmbeddingTable,
    ImageItemEncoder,
    ItemEncoder,
    LsaItemEncoder,
    TextItemEncoder,
    cached_embeddings,
)
from genrec.errors import ConfigError
from genrec.pipeline.continuation import bundle_digest, grown_catalog
from genrec.pipeline.id_vectors import id_vectors, wants_collaborative, wants_fusion
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.stage import StageResult, write_resolved
from genrec.recipe import EmbeddingsSection, Recipe
from genrec.semantic_ids import ItemTokenizer, definition_path

KIND = "semantic_ids"


def build_encoder(section: EmbeddingsSection, seed: int) -> ItemEncoder | None:
    """The content encoder a recipe asks for; None when vectors are read from a file."""
    if section.encoder == "lsa":
        return LsaItemEncoder(fields=section.fields, dim=section.dim, seed=seed)
    if section.encoder == "text":
        return TextItemEncoder(
            section.model,
            fields=section.fields,
            batch_size=section.batch_size,
            max_length=section.max_length,
            revision=section.revision,
        )
    return None


def content_vectors(recipe: Recipe, items: ItemTable) -> EmbeddingTable:
    """Content vectors of all items: read from the user's file, from the cache, or encoded now."""
    section = recipe.embeddings
    encoder = build_encoder(section, recipe.seed)
    if encoder is not None:
        return cached_embeddings(encoder, items, recipe.output_dir / "embeddings")
    if section.vectors is None or section.vector_ids is None:
        raise ConfigError(
            "the recipe names no vectors", remedy="set embeddings.vectors and embeddings.vector_ids"
        )
    table = EmbeddingTable.from_files(section.vectors, section.vector_ids)
    return EmbeddingTable(items.canonical_ids, table.vectors_for(items.canonical_ids))


def has_given_ids(recipe: Recipe) -> bool:
    """Whether IDs come from a file or a bundle, so that they do not depend on the recipe's vectors."""
    return recipe.item_tokenizer.index is not None or recipe.start_from is not None


def vectors_facts(recipe: Recipe) -> list[object]:
    """What the content vectors depend on beside the items: the section, and the user's files."""
    vectors, vector_ids = recipe.embeddings.vectors, recipe.embeddings.vector_ids
    section = to_mapping(recipe.embeddings)
    for name in ("revision", "image_revision"):  # what is not given counts as if there were no such setting
        if section[name] is None:
            del section[name]
    return [
        section,
        file_sha256(vectors) if vectors is not None else None,
        *([file_sha256(vector_ids)] if vector_ids is not None else []),
    ]


def pictures_facts(recipe: Recipe, items: ItemTable) -> list[object]:
    """What IDs depend on where pictures are fused: the files' contents, whatever their names.

    Raises:
        DataError: The table names no pictures, or one that is not there.
    """
    section = recipe.embeddings
    if section.images is None or unfitted_item_tokenizer(recipe).is_index:
        return []
    return [ImageItemEncoder(section.images, folder=section.image_folder).template.fingerprint(items)]


def ids_fingerprint(recipe: Recipe, inputs: Inputs) -> str:
    """Digest of everything the IDs depend on; the training interactions where IDs are made of them."""
    items, section = inputs.items, recipe.item_tokenizer
    if recipe.start_from is not None:
        return fingerprint([items.fingerprint(), bundle_digest(recipe.start_from)])
    if section.index is not None:
        return fingerprint([items.fingerprint(), file_sha256(section.index), section.index_collisions])
    return fingerprint(
        [
            *([inputs.split.train.fingerprint()] if learns_from_interactions(recipe) else []),
            items.fingerprint(),
            *vectors_facts(recipe),
            *pictures_facts(recipe, items),
            definition_path(section.definition).read_text(encoding="utf-8"),
            recipe.seed,
        ]
    )


def ids_folder(recipe: Recipe) -> Path:
    """Where the stage writes."""
    return recipe.output_dir / "ids"


def has_ids(recipe: Recipe, inputs: Inputs) -> bool:
    """Whether the stage's output is there, for these inputs."""
    return has_artifact(ids_folder(recipe), kind=KIND, facts={"inputs": ids_fingerprint(recipe, inputs)})


def learns_from_interactions(recipe: Recipe) -> bool:
    """Whether IDs that the recipe makes depend on interactions."""
    unfitted = unfitted_item_tokenizer(recipe)
    weighed = wants_fusion(recipe, unfitted) and recipe.embeddings.fusion == "learned"
    return unfitted.needs_interactions or wants_collaborative(recipe, unfitted) or weighed


def unfitted_item_tokenizer(recipe: Recipe) -> ItemTokenizer:
    """The item tokenizer of a recipe that makes its IDs, before it has learned anything."""
    return ItemTokenizer.from_definition(
        recipe.item_tokenizer.definition,
        encoder=build_encoder(recipe.embeddings, recipe.seed),
        seed=recipe.seed,
    )


def build_ids(recipe: Recipe, inputs: Inputs | None = None) -> StageResult:
    """Makes (or reads) the Semantic IDs of all items.

    Writes `output_dir/ids`: the catalog, the item tokenizer, `index.json` (item -> tokens) and
    `diagnostics.json`.
    """
    inputs = inputs or load_inputs(recipe)
    items, folder = inputs.items, ids_folder(recipe)
    facts = {"inputs": ids_fingerprint(recipe, inputs)}
    if has_ids(recipe, inputs):
        return StageResult("build-ids", folder, True, f"skipped, the same IDs are in {folder}")
    write_resolved(recipe, "build-ids")
    item_tokenizer, section = None, recipe.item_tokenizer
    if recipe.start_from is not None:
        catalog, item_tokenizer = grown_catalog(recipe.start_from, items)
    elif section.index is not None:
        catalog = Catalog.from_index(section.index, items, collisions=section.index_collisions)
    else:
        item_tokenizer = unfitted_item_tokenizer(recipe)
        vectors, behaviour = None, None
        if not item_tokenizer.is_index:
            vectors, behaviour = id_vectors(
                recipe, inputs, content_vectors(recipe, items), aligns=item_tokenizer.aligns
            )
        if vectors is not None and wants_fusion(recipe, item_tokenizer):
            item_tokenizer.encoder = None  # it makes content vectors, and these are fused ones
        item_tokenizer.fit(
            items,
            inputs.split.train,
            embeddings=vectors,
            collaborative=behaviour,
            checkpoint=recipe.output_dir / "ids.fit",
        )
        catalog = Catalog.build(item_tokenizer, items, embeddings=vectors)
    diagnostics = catalog.diagnostics()
    with saved_artifact(folder, kind=KIND, facts=facts) as temporary:
        catalog.save(temporary / "catalog")
        if item_tokenizer is not None:
            item_tokenizer.save(temporary / "item_tokenizer")
        index = {item: list(catalog.tokens(item)) for item in catalog.item_ids}
        (temporary / "index.json").write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
        (temporary / "diagnostics.json").write_text(
            json.dumps(diagnostics.to_dict(), indent=2), encoding="utf-8"
        )
        (temporary / "diagnostics.md").write_text(diagnostics.to_markdown(), encoding="utf-8")
    return StageResult(
        "build-ids", folder, False, f"{len(catalog)} items have an ID of their own in {folder}"
    )


def load_catalog(recipe: Recipe) -> Catalog:
    """The catalog the stage wrote."""
    return Catalog.load(ids_folder(recipe) / "catalog")


def load_item_tokenizer(recipe: Recipe) -> ItemTokenizer | None:
    """The item tokenizer the stage wrote; None when the IDs were read from a file."""
    folder = ids_folder(recipe) / "item_tokenizer"
    return ItemTokenizer.load(folder) if folder.exists() else None


def catalog_for_a_look(recipe: Recipe, inputs: Inputs) -> tuple[Catalog, bool]:
    """The built catalog where there is one, else one of made-up unique codes of the right shape.

    Returns:
        The catalog, and whether its IDs are the recipe's own.
    """
    items = inputs.items
    if has_ids(recipe, inputs):
        return load_catalog(recipe), True
    section = recipe.item_tokenizer
    if recipe.start_from is not None:
        return grown_catalog(recipe.start_from, items)[0], True
    if section.index is not None:
        return Catalog.from_index(section.index, items, collisions=section.index_collisions), True
    spec = ItemTokenizer.from_definition(section.definition).spec
    codes, rest = [], np.arange(len(items))
    for size in spec.codebook_sizes:  # each item's number, written in the codebooks' sizes as digits
        codes.append(rest % size)
        rest = rest // size
    return Catalog(items.canonical_ids, np.stack(codes, axis=1), spec), False
