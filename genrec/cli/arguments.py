"""Arguments that several commands share.

Does not know the commands.
"""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperCommand

RecipeArgument = Annotated[
    str,
    typer.Argument(help="A shipped recipe's name (see `genrec recipes`), a recipe folder, or a recipe file."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Overrides, such as output_dir=outputs/mine align.max_steps=8 data.items=items.jsonl.gz",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of text.")]
History = Annotated[
    list[str] | None,
    typer.Option("--history", metavar="ID ...", help="Item ids, oldest first: --history ID ID ..."),
]


class HistoryCommand(TyperCommand):
    """A command whose `--history` takes all ids up to the next option; said twice, they follow each other."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Reads the arguments, with `--history` put before each id."""
        return super().parse_args(ctx, spread_history(args))


def spread_history(args: list[str]) -> list[str]:
    """`--history A B` as `--history A --history B`, which is how options of several values are read."""
    spread: list[str] = []
    inside = False
    for place, arg in enumerate(args):
        if arg == "--":
            return [*spread, *args[place:]]
        if arg.startswith("-"):
            inside = arg == "--history"
            follows = args[place + 1 : place + 2]
            if not inside or not follows or follows[0].startswith("-"):  # none: typer says what is missing
                spread.append(arg)
        else:
            spread += ["--history", arg] if inside else [arg]
    return spread
