"""Stage `write-texts`: queries and preferences written by a language model the user names, before training.

Does not know training: tasks read what lies on the disk afterwards.
"""

from __future__ import annotations

from genrec.data import InteractionLog
from genrec.errors import ConfigError
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.stage import StageResult, write_resolved
from genrec.recipe import Recipe
from genrec.tasks import (
    AttributeTexts,
    ChatEndpoint,
    Estimate,
    GeneratedTexts,
    LocalGenerator,
    PreferenceSource,
    QuerySource,
)

QUERY_TASKS = ("itemsearch", "query2index")
PREFERENCE_TASKS = ("itemsearch", "preferenceobtain")


def write_texts(recipe: Recipe, inputs: Inputs | None = None) -> StageResult:
    """Has the recipe's language model write the texts that are not there yet; a run that was stopped goes on.

    Raises:
        ConfigError: The recipe takes its texts from attributes.
        GenerationError: The model cannot be reached, or refuses; what came so far is kept.
    """
    inputs = inputs or load_inputs(recipe)
    writer = _writer(recipe, inputs)
    if writer is None:
        raise ConfigError(
            "this recipe takes queries and preferences from the items' attributes: there is nothing to write",
            received=f"texts.source={recipe.texts.source}",
            remedy="set texts.source=endpoint or texts.source=local, and texts.model=NAME",
        )
    folder = recipe.output_dir / "texts"
    estimate = _estimate(recipe, inputs, writer)
    if not estimate.calls:
        return StageResult("write-texts", folder, True, f"skipped, all {estimate.kept} texts are in {folder}")
    write_resolved(recipe, "write-texts")
    items, log = _wanted(recipe, inputs)
    writer.generate(items, log)
    return StageResult("write-texts", folder, False, f"{estimate.calls} texts written, now in {folder}")


def estimate_texts(recipe: Recipe, inputs: Inputs) -> Estimate | None:
    """What `write_texts` would take; None where the recipe takes its texts from attributes."""
    writer = _writer(recipe, inputs)
    return None if writer is None else _estimate(recipe, inputs, writer)


def text_sources(
    recipe: Recipe, inputs: Inputs, *, unwritten: str = "error"
) -> tuple[QuerySource | None, PreferenceSource | None]:
    """Where the recipe's tasks get queries and preferences from; None = from attributes.

    Args:
        recipe: The recipe.
        inputs: Its data.
        unwritten: What to do when texts are not written yet: `"error"`, or `"attributes"` for a first look.

    Raises:
        ConfigError: Texts are not written yet.
    """
    writer = _writer(recipe, inputs)
    if writer is None:
        return None, None
    missing = _estimate(recipe, inputs, writer).calls
    if not missing:
        return writer, writer
    if unwritten == "attributes":
        return None, None
    raise ConfigError(
        "the texts of this recipe are not written yet",
        received=f"{missing} are missing in {recipe.output_dir / 'texts'}",
        remedy=f"run: genrec write-texts {recipe.name} (with the same overrides)",
    )


def _writer(recipe: Recipe, inputs: Inputs) -> GeneratedTexts | None:
    section = recipe.texts
    if section.source == "attributes" or section.model is None:
        return None
    model: ChatEndpoint | LocalGenerator
    if section.source == "endpoint":
        model = ChatEndpoint(
            section.base_url,
            section.model,
            api_key_variable=section.api_key_variable,
            max_new_tokens=section.max_new_tokens,
            parallel=section.parallel,
        )
    else:
        model = LocalGenerator(
            section.model, max_new_tokens=section.max_new_tokens, revision=section.revision
        )
    hidden = set(inputs.split.held_out)
    items = inputs.items.subset([item for item in inputs.items.item_ids if item not in hidden])
    return GeneratedTexts(
        items,
        model,
        recipe.output_dir / "texts" / "texts.jsonl",
        num_queries=section.num_queries,
        fallback=AttributeTexts(items),
    )


def _wanted(recipe: Recipe, inputs: Inputs) -> tuple[list[str], InteractionLog | None]:
    hidden = set(inputs.split.held_out)
    asked = any(name in recipe.tasks for name in QUERY_TASKS)
    items = [item for item in inputs.items.canonical_ids if item not in hidden] if asked else []
    return items, inputs.split.train if any(name in recipe.tasks for name in PREFERENCE_TASKS) else None


def _estimate(recipe: Recipe, inputs: Inputs, writer: GeneratedTexts) -> Estimate:
    items, log = _wanted(recipe, inputs)
    return writer.estimate(items, log, price_per_million=recipe.texts.price_per_million)
