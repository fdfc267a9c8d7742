"""The command `recipes`: what comes with genrec.

Does not know what a recipe does.
"""

from __future__ import annotations

from genrec.cli.output import table
from genrec.recipe import shipped_recipes


def recipes() -> None:
    """List the shipped recipes."""
    rows = []
    for name, path in shipped_recipes().items():
        first = path.read_text(encoding="utf-8").splitlines()[0]
        rows.append((name, first.lstrip("# "), path))
    table("Recipes", ["name", "what it is", "file"], rows)
