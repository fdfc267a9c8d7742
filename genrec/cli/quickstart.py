"""The command `quickstart`: every stage on the built-in synthetic world.

Does not know what a stage does.
"""

from __future__ import annotations

from typing import Annotated

import typer

from genrec.cli.output import line, quiet_libraries, stage_line, table
from genrec.cli.report import show_report
from genrec.recipe import Recipe


def quickstart(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Overrides, such as seed=1 output_dir=outputs/mine"),
    ] = None,
) -> None:
    """Run all stages on a synthetic catalog, in minutes on a CPU, and recommend for one user."""
    recipe = Recipe.load("quickstart", overrides or [])

    from genrec import pipeline
    from genrec.recommender import GenerativeRecommender

    quiet_libraries()
    inputs = pipeline.load_inputs(recipe)
    users, interactions = len(inputs.log.user_ids), len(inputs.log)
    line(f"synthetic world: {len(inputs.items)} items, {users} users, {interactions} interactions")
    stage_line(pipeline.build_ids(recipe, inputs))
    trained = pipeline.align(recipe, inputs)
    stage_line(trained)
    evaluated = pipeline.evaluate(recipe, inputs)
    stage_line(evaluated)
    line()
    show_report(evaluated.folder, ("recall@10", "ndcg@10"))
    line()
    user, history = pipeline.example_history(recipe, inputs)
    recommender = GenerativeRecommender.from_pretrained(trained.folder)
    line(f"User {user} used, newest last:")
    for item in history[-5:]:
        line(f"  {item}  {inputs.items.title(item)}")
    found = recommender.recommend(history, k=5)
    line()
    table(
        "Recommended next",
        ["item", "score", "Semantic ID", "title"],
        [(r.item_id, f"{r.score:.3f}", " ".join(r.semantic_id), r.title) for r in found],
    )
    line()
    line(f"The bundle lies in {trained.folder}. Ask it again:")
    line(f"  genrec recommend {trained.folder} --history {' '.join(history[-5:])} -k 10")
