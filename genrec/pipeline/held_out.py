"""The probe of held-out interactions for a recipe: what it makes of interactions must not know the answers.

Does not know models or metrics. What is made of content alone, or read from a file, is not looked at.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import numpy as np

from genrec.data import InteractionLog
from genrec.embeddings import successor_vectors
from genrec.evaluation import check_held_out
from genrec.pipeline.id_vectors import id_vectors
from genrec.pipeline.inputs import Inputs, split_log
from genrec.pipeline.item_level import SUCCESSOR_DIM
from genrec.pipeline.semantic_ids import (
    content_vectors,
    has_given_ids,
    learns_from_interactions,
    unfitted_item_tokenizer,
)
from genrec.recipe import Recipe

logger = logging.getLogger(__name__)

Build = Callable[[InteractionLog], np.ndarray]


def probe_held_out(recipe: Recipe, inputs: Inputs) -> tuple[str, ...]:
    """Makes IDs and vectors anew, from the log and from one with other held-out items.

    Returns:
        What was made of interactions, and stays the same.

    Raises:
        DataError: Something does not stay the same.
    """
    found = _makers(recipe, inputs)
    for what, build in found.items():
        logger.info("%s are made again, from other held-out interactions", what)
        check_held_out(what, build, inputs.log, inputs.split, seed=recipe.seed)
    return tuple(found)


def _makers(recipe: Recipe, inputs: Inputs) -> dict[str, Build]:
    item_ids = inputs.items.canonical_ids

    def split_anew(log: InteractionLog) -> Inputs:
        return dataclasses.replace(inputs, log=log, split=split_log(log, recipe.data))

    def index_ids(log: InteractionLog) -> np.ndarray:
        made = unfitted_item_tokenizer(recipe).fit(inputs.items, split_anew(log).split.train)
        return made.encode(inputs.items)[1]

    def vectors(log: InteractionLog) -> np.ndarray:
        content, aligns = content_vectors(recipe, inputs.items), unfitted_item_tokenizer(recipe).aligns
        tables = id_vectors(recipe, split_anew(log), content, aligns=aligns)
        return np.concatenate([t.vectors_for(item_ids) for t in tables if t is not None], axis=1)

    def successors(log: InteractionLog) -> np.ndarray:
        dim = min(SUCCESSOR_DIM, len(item_ids) - 1)
        table = successor_vectors(split_anew(log).split.train, item_ids, dim=dim, seed=recipe.seed)
        return table.vectors_for(item_ids)

    found: dict[str, Build] = {}
    if not has_given_ids(recipe) and learns_from_interactions(recipe):
        if unfitted_item_tokenizer(recipe).is_index:
            found["Semantic IDs"] = index_ids
        else:
            found["vectors of the IDs"] = vectors
    if recipe.model.architecture == "item_level" and "successors" in recipe.item_level.channels:
        found["successor vectors"] = successors
    return found
