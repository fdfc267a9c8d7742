"""The command `write-texts`: queries and preferences written by a language model the user names.

Does not know how they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from genrec.cli.arguments import Overrides, RecipeArgument
from genrec.cli.output import line, quiet_libraries, stage_line
from genrec.recipe import Recipe

if TYPE_CHECKING:
    from genrec.tasks import Estimate


def write_texts(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before anything is spent.")] = False,
) -> None:
    """Have a language model write the queries and preferences of a recipe's tasks; the cost is told first.

    Texts that are there already are kept; a run that was stopped goes on where it was.

    Example: genrec write-texts quickstart-tasks texts.source=endpoint texts.base_url=http://localhost:8000/v1
    texts.model=NAME
    """
    loaded = Recipe.load(recipe, overrides or [])

    from genrec import pipeline

    quiet_libraries()
    inputs = pipeline.load_inputs(loaded)
    estimate = pipeline.estimate_texts(loaded, inputs)
    if estimate is not None and estimate.calls:
        show_estimate(estimate)
        if not yes:
            typer.confirm("Go on?", abort=True)
    stage_line(pipeline.write_texts(loaded, inputs))


def show_estimate(estimate: Estimate) -> None:
    """What is going to be asked, and what it costs where prices are known."""
    cost = "" if estimate.cost is None else f", about {estimate.cost:.2f} in the currency of the prices"
    line(
        f"texts to write      {estimate.calls:,} ({estimate.kept:,} are there): about "
        f"{estimate.prompt_tokens:,} tokens asked, {estimate.answer_tokens:,} answered{cost}"
    )
