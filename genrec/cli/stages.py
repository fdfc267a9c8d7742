"""The commands `build-ids`, `align`, `prefer` and `evaluate`: one stage of a recipe each.

Does not know what a stage does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrec.cli.arguments import Overrides, RecipeArgument
from genrec.cli.output import line, quiet_libraries, stage_line
from genrec.cli.report import show_report
from genrec.recipe import Recipe


def build_ids(recipe: RecipeArgument, overrides: Overrides = None) -> None:
    """Make a Semantic ID for every item: embed, quantize, resolve collisions.

    Skips the work when the same IDs are there already.

    Example: genrec build-ids quickstart output_dir=outputs/mine
    """
    loaded = Recipe.load(recipe, overrides or [])

    from genrec import pipeline

    quiet_libraries()
    result = pipeline.build_ids(loaded)
    stage_line(result)
    line((result.folder / "diagnostics.md").read_text(encoding="utf-8"))


def align(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="BUNDLE",
            help="Go on from this bundle, with new interactions or a grown catalog.",
        ),
    ] = None,
) -> None:
    """Train the language model on the recipe's tasks and write the bundle; a killed run is resumed.

    For several processes start scripts/align.py by accelerate launch, with a file of recipes/accelerate/.

    Example: genrec align quickstart --from outputs/quickstart/bundle output_dir=outputs/next
    """
    loaded = Recipe.load(recipe, overrides or [], start_from=start_from)

    from genrec import pipeline

    quiet_libraries()
    stage_line(pipeline.align(loaded))


def prefer(recipe: RecipeArgument, overrides: Overrides = None) -> None:
    """Teach the trained bundle to prefer what users chose over what it would have named wrongly (DPO, S-DPO).

    The new bundle lies in preferred/bundle of the output folder, beside the test runs of both for
    `genrec compare`.

    Example: genrec prefer quickstart preference.num_rejected=4
    """
    loaded = Recipe.load(recipe, overrides or [])

    from genrec import pipeline

    quiet_libraries()
    result = pipeline.prefer(loaded)
    stage_line(result)
    runs = [str(result.folder / "runs" / name) for name in ("aligned", "preferred")]
    line(f"genrec compare {' '.join(runs)}")


def evaluate(recipe: RecipeArgument, overrides: Overrides = None) -> None:
    """Measure the bundle and the baselines on the test cases: full catalog, hits counted per item."""
    loaded = Recipe.load(recipe, overrides or [])

    from genrec import pipeline

    quiet_libraries()
    result = pipeline.evaluate(loaded)
    stage_line(result)
    show_report(result.folder)
