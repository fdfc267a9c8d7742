"""Arguments that several commands share.

Does not know the commands.
"""

from __future__ import annotations

from typing import Annotated

import typer

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
