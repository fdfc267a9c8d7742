"""The training rows a recipe asks for: its tasks over the training part of the split.

Does not know models or optimisers, nor validation and test cases.
"""

from __future__ import annotations

from genrec.catalog import Catalog
from genrec.pipeline.inputs import Inputs
from genrec.recipe import Recipe
from genrec.tasks import TaskMixture


def training_mixture(recipe: Recipe, inputs: Inputs, catalog: Catalog) -> TaskMixture:
    """The mixture of the recipe's tasks."""
    return TaskMixture.seqrec(
        catalog,
        inputs.split.train,
        max_history=recipe.align.max_history,
        form="prefixes" if recipe.model.architecture == "encoder_decoder" else "packed",
        held_out=inputs.split.held_out,
        seed=recipe.seed,
    )
