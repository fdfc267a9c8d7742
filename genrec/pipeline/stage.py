"""What every stage returns, and how it knows that its work is done already.

Does not know any stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genrec.recipe import Recipe


@dataclass(frozen=True)
class StageResult:
    """Outcome of a stage.

    Attributes:
        stage: Its name, as on the command line.
        folder: Where its output lies.
        skipped: Whether the output was there already, for the same inputs.
        message: One line for people.
    """

    stage: str
    folder: Path
    skipped: bool
    message: str


def write_resolved(recipe: Recipe, stage: str) -> None:
    """Writes the resolved recipe beside a stage's output."""
    recipe.output_dir.mkdir(parents=True, exist_ok=True)
    recipe.write(recipe.output_dir / f"{stage}.resolved.yaml")
