"""The vectors that IDs are made of: content, fused with behaviour and images where a recipe asks for them.

Does not know quantizers. Behaviour is the training part's alone.
"""

from __future__ import annotations

from genrec.data import InteractionLog
from genrec.embeddings import (
    EmbeddingTable,
    ImageItemEncoder,
    als_vectors,
    cached_embeddings,
    fused,
    item2vec,
    learned_weights,
)
from genrec.pipeline.inputs import Inputs
from genrec.recipe import Recipe
from genrec.semantic_ids import ItemTokenizer


def wants_fusion(recipe: Recipe, item_tokenizer: ItemTokenizer) -> bool:
    """Whether content is fused with other tables."""
    section = recipe.embeddings
    return section.images is not None or (section.collaborative != "none" and not item_tokenizer.aligns)


def wants_collaborative(recipe: Recipe, item_tokenizer: ItemTokenizer) -> bool:
    """Whether the IDs depend on vectors that are made of interactions."""
    wanted = item_tokenizer.aligns or recipe.embeddings.collaborative != "none"
    return wanted and not item_tokenizer.is_index


def id_vectors(
    recipe: Recipe, inputs: Inputs, content: EmbeddingTable, *, aligns: bool
) -> tuple[EmbeddingTable, EmbeddingTable | None]:
    """Vectors that are quantized, and collaborative ones that a quantizer aligns with.

    Args:
        recipe: Its section `embeddings`.
        inputs: Items and the training part.
        content: Content vectors of all items.
        aligns: Whether the quantizer takes collaborative vectors, which then are not fused; where the recipe
            names no kind of them, they are item2vec's.

    Returns:
        float32 `[items, d]`, and the collaborative vectors (None where the quantizer does not align).
    """
    section, ids = recipe.embeddings, inputs.items.item_ids
    train = inputs.split.train
    tables = {"content": content}
    if section.images is not None:
        encoder = ImageItemEncoder(
            section.images,
            folder=section.image_folder,
            batch_size=section.batch_size,
            revision=section.image_revision,
        )
        tables["images"] = cached_embeddings(encoder, inputs.items, recipe.output_dir / "embeddings")
    kind = section.collaborative
    if aligns:
        behaviour = behaviour_vectors("item2vec" if kind == "none" else kind, train, ids, recipe.seed)
    else:
        behaviour = None
        if kind != "none":
            tables["behaviour"] = behaviour_vectors(kind, train, ids, recipe.seed)
    if len(tables) == 1:
        return content, behaviour
    weights = None
    if section.fusion == "learned":
        inner = train.leave_one_out()  # behaviour is weighed by interactions it has not seen
        earlier = dict(tables)
        if "behaviour" in tables:
            earlier["behaviour"] = behaviour_vectors(kind, inner.train, ids, recipe.seed)
        weights = learned_weights(earlier, ids, inner.test, dim=section.fusion_dim, seed=recipe.seed)
    return fused(tables, ids, weights=weights, dim=section.fusion_dim), behaviour


def behaviour_vectors(kind: str, log: InteractionLog, item_ids: list[str], seed: int) -> EmbeddingTable:
    """Collaborative vectors by item2vec or ALS."""
    if kind == "als":
        return als_vectors(log, item_ids, seed=seed)
    return item2vec(log, item_ids, seed=seed)
