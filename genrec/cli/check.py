"""The command `check`: what a recipe will cost, before anything is spent.

Does not know how it is estimated.
"""

from __future__ import annotations

from dataclasses import asdict

from genrec.cli.arguments import AsJson, Overrides, RecipeArgument
from genrec.cli.output import json_line, line, quiet_libraries
from genrec.cli.write_texts import show_estimate
from genrec.recipe import Recipe


def check(recipe: RecipeArgument, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Read the data, build the model, print samples, tokens, steps, trained parameters, time and memory."""
    loaded = Recipe.load(recipe, overrides or [])

    from genrec import pipeline

    quiet_libraries()
    inputs = pipeline.load_inputs(loaded)
    found, texts = pipeline.check(loaded, inputs), pipeline.estimate_texts(loaded, inputs)
    if as_json:
        json_line({**found.to_dict(), "texts": None if texts is None else asdict(texts)})
        return
    sizes = " x ".join(str(size) for size in found.codebook_sizes)
    line(f"recipe              {loaded.name}, output in {loaded.output_dir}")
    line(f"items               {found.items:,}")
    line(f"users               {found.users:,}")
    line(f"interactions        {found.interactions:,} (time: {found.time_kind})")
    line(f"cases               {found.validation_cases:,} validation, {found.test_cases:,} test")
    if texts is not None:
        show_estimate(texts)
    for task, count in found.tasks.items():
        line(f"task                {task}, {count:,} rows an epoch")
    line(f"samples             {found.training_rows:,} rows and {found.targets_per_epoch:,} targets an epoch")
    if loaded.model.architecture == "item_level":
        line(f"positions           {found.tokens_per_epoch:,} an epoch, one an item")
        line(f"Semantic IDs        {sizes}")
    else:
        line(f"tokens              {found.tokens_per_epoch:,} an epoch")
        line(f"Semantic IDs        {sizes}, {found.reserved_tokens:,} reserved tokens")
    line(f"steps               {found.steps:,} at most (batch {loaded.align.batch_size})")
    line(f"trained parameters  {found.trained_parameters:,}")
    milliseconds = found.seconds_per_step * 1000
    line(f"time                about {found.training_minutes:.1f} min, {milliseconds:.0f} ms a step here;")
    passes = " and passes over the item texts" if loaded.model.text_epochs else ""
    line(f"                    validations{passes} come on top, early stopping may end it before")
    line(f"memory              about {found.memory_gib:.1f} GiB")
