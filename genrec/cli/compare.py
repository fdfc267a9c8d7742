"""The command `compare`: saved runs side by side.

Does not know how runs are compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrec.cli.arguments import AsJson
from genrec.cli.output import json_line, line, table


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders such as outputs/quickstart/evaluation/runs/genrec."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for pictures, report.html and comparison.json.")
    ] = Path("comparison"),
    items: Annotated[
        Path | None,
        typer.Option(help="Item table: show cases with titles in report.html. Mind whose texts they are."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs with the first: metrics with 95 % intervals, paired permutation tests, pictures, a page.

    Runs on different cases, items or rules of masking are refused.

    Example: genrec compare outputs/quickstart/evaluation/runs/{genrec,item-knn,popularity}
    """
    from genrec.evaluation import compare_folders

    found = compare_folders(runs, output, items=items)
    if as_json:
        json_line(found.to_dict())
        return
    metrics = list(found.results[0].metrics)
    rows = []
    for result in found.results:
        cells = []
        for metric in metrics:
            lower, upper = result.intervals[metric]
            cells.append(f"{result.metrics[metric]:.4f} [{lower:.3f}, {upper:.3f}]")
        rows.append([result.name, *cells])
        if result.id_level is not None:
            by_id = [f"{result.id_level.metrics[metric]:.4f}" for metric in metrics]
            rows.append([f"{result.name} †", *by_id])
    table(found.title, ["run", *metrics], rows)
    if any(result.id_level is not None for result in found.results):
        line("† a hit counts for the Semantic ID, whichever item of that ID was meant")
    if len(found.results) > 1:
        pairs = list(zip(found.results, found.p_values, strict=True))[1:]
        tests = [
            [result.name, *(f"{p_values[metric]:.4f}" for metric in metrics)] for result, p_values in pairs
        ]
        title = f"p-values against {found.results[0].name} (two-sided paired permutation test)"
        table(title, ["run", *metrics], tests)
    line(f"In brackets: 95 % bootstrap intervals over users. Pictures and slices: {output / 'report.html'}")
