"""`preview`: rows of a recipe's tasks as training will read them, before anything is spent.

Does not know how they are printed.
"""

from __future__ import annotations

from dataclasses import dataclass

from genrec.pipeline.base_model import extended_text_tokenizer
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.mixture import training_mixture
from genrec.pipeline.semantic_ids import catalog_for_a_look
from genrec.recipe import Recipe
from genrec.tasks import PreviewRow, PromptBuilder, preview_rows


@dataclass(frozen=True)
class Preview:
    """What `preview` found.

    Attributes:
        rows: Some of each task, as training reads them.
        counts: Task name -> rows an epoch.
        real_ids: Whether the Semantic IDs are the recipe's own; if not they were made up, as `build-ids` has
            not run.
    """

    rows: list[PreviewRow]
    counts: dict[str, int]
    real_ids: bool


def preview(recipe: Recipe, inputs: Inputs | None = None, *, per_task: int = 1, epoch: int = 0) -> Preview:
    """The first rows of every task of a recipe.

    Args:
        recipe: The recipe.
        inputs: Its data, where they are loaded already.
        per_task: Rows of each task.
        epoch: The epoch they are drawn for.

    Raises:
        DataError: Anything wrong with the data.
    """
    inputs = inputs or load_inputs(recipe)
    catalog, real = catalog_for_a_look(recipe, inputs)
    text_tokenizer, vocabulary = extended_text_tokenizer(recipe, inputs.items, catalog.spec)
    mixture = training_mixture(recipe, inputs, catalog, unwritten="attributes")
    builder = PromptBuilder.for_tokenizer(
        text_tokenizer,
        vocabulary,
        max_history=recipe.align.max_history,
        max_length=recipe.align.max_length,
        user_tokenizer=mixture.user_tokenizer,
    )
    counts = {task.name: int(count) for task, count in zip(mixture.tasks, mixture.counts, strict=True)}
    return Preview(preview_rows(mixture, builder, per_task=per_task, epoch=epoch), counts, real)
