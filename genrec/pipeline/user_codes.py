"""User codes of a recipe: learned from the training part's histories in the space of the items' content.

Does not know prompts. No user and no history is kept.
"""

from __future__ import annotations

import numpy as np

from genrec.catalog import Catalog, code_vectors
from genrec.data import id_hash
from genrec.pipeline.inputs import Inputs
from genrec.pipeline.semantic_ids import content_vectors
from genrec.quantization import ResidualKMeans
from genrec.recipe import Recipe
from genrec.semantic_ids import UserTokenizer

MOST = 50_000  # histories that codebooks are learned from


def fitted_user_tokenizer(recipe: Recipe, inputs: Inputs, catalog: Catalog) -> UserTokenizer | None:
    """The user tokenizer of a recipe; None where it asks for no user codes.

    Learned from whole training histories, users in the order of a hash of their ids.
    """
    if not recipe.item_tokenizer.user_codes:
        return None
    vectors = code_vectors(catalog, content_vectors(recipe, inputs.items))
    histories = inputs.split.train.histories()
    row_of = {item: row for row, item in enumerate(catalog.item_ids) if item in catalog}
    rows = np.array([row_of.get(item, -1) for item in histories.item_ids], dtype=np.int64)
    users = sorted(range(len(histories.user_ids)), key=lambda user: id_hash(histories.user_ids[user]))
    newest = recipe.align.max_history
    found = []
    for user in users[:MOST]:
        own = rows[histories.items[histories.offsets[user] : histories.offsets[user + 1]]]
        if (own := own[own >= 0][-newest:]).size:
            found.append(catalog.codes[own])
    return UserTokenizer(vectors, ResidualKMeans(3, 64, seed=recipe.seed)).fit(found)
