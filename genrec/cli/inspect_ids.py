"""The command `inspect-ids`: Semantic IDs looked at from every side.

Does not know how a figure is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrec.cli.arguments import AsJson
from genrec.cli.output import json_line, line, quiet_libraries


def inspect_ids(
    target: Annotated[
        Path,
        typer.Argument(help="A bundle, an output of build-ids, a catalog's folder, or an index.json[.gz]."),
    ],
    items: Annotated[
        Path | None, typer.Option(help="Item table: what codes mean, agreement with categories.")
    ] = None,
    interactions: Annotated[
        Path | None,
        typer.Option(help="Log: agreement with who had what; only its training part (leave-one-out) counts."),
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="Folder of an embedding table: how much of the vectors codes tell.")
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help="The index file's IDs are words; they are numbered by position.")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for report.html, pictures, JSON and markdown.")
    ] = Path("id-inspection"),
    as_json: AsJson = False,
) -> None:
    """Inspect Semantic IDs: use of codes, shared IDs, what prefixes agree with, what each code means.

    A bundle brings its own item table and, where it can, its vectors. Published index files are read too.

    Example: genrec inspect-ids outputs/quickstart/bundle
    --interactions outputs/quickstart/data/interactions.csv.gz
    """
    from genrec import pipeline

    quiet_libraries()
    found = pipeline.inspect_target(
        target, output, items=items, interactions=interactions, vectors=vectors, words=words
    )
    if as_json:
        json_line(found.to_dict())
        return
    line(found.to_markdown())
    for meaning in found.meanings[:8]:
        told = ", ".join(meaning.words) or ", ".join(name for name, _ in meaning.categories)
        line(f"{' '.join(meaning.tokens):>12}  {meaning.num_items:>6,} items  {told}")
    line(f"\nThe whole report: {output / 'report.html'}")
