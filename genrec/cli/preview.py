"""The command `preview`: real prompts and answers of a recipe's tasks, with the loss mask visible.

Does not know how rows are made.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from genrec.cli.arguments import AsJson, Overrides, RecipeArgument
from genrec.cli.output import json_line, line, quiet_libraries
from genrec.recipe import Recipe

if TYPE_CHECKING:
    from genrec.tasks import PreviewRow

LEARNED, GIVEN = "bold green", "dim"


def preview(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option("-n", "--rows", min=1, help="Rows of each task.")] = 1,
    epoch: Annotated[int, typer.Option(min=0, help="The epoch they are drawn for.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Print training rows of every task: what the model is given, and what the loss sits on.

    What is learned stands in [[ ]], in green on a terminal.

    Example: genrec preview quickstart-tasks -n 3
    """
    loaded = Recipe.load(recipe, overrides or [])

    from genrec import pipeline

    quiet_libraries()
    found = pipeline.preview(loaded, per_task=rows, epoch=epoch)
    if as_json:
        json_line(
            {"counts": found.counts, "real_ids": found.real_ids, "rows": [asdict(r) for r in found.rows]}
        )
        return
    if not found.real_ids:
        line(f"Semantic IDs are made up here: run `genrec build-ids {recipe}` to see the real ones.\n")
    if loaded.model.architecture == "item_level":
        line("An item-level generator reads an item as one position; here its Semantic ID is spelled out, as")
        line("the history has it: what item_level varies or a teacher says is drawn when it trains.\n")
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for row in found.rows:
        count = found.counts[row.task]
        line(f"{row.task}: row {row.index} of epoch {row.epoch}; {count:,} rows an epoch")
        line(f"{row.num_tokens} tokens, the loss sits on {row.num_learned}")
        console.print(styled(row))
        line()


def styled(row: PreviewRow) -> Text:
    """The row's text; learned runs in double brackets and green."""
    text, inside = Text(), False
    for piece in row.pieces:
        if piece.learned != inside:
            text.append("[[" if piece.learned else "]]", style=LEARNED)
            inside = piece.learned
        text.append(piece.text, style=LEARNED if piece.learned else GIVEN)
    if inside:
        text.append("]]", style=LEARNED)
    return text
