"""The command `recommend`: a bundle answering on the command line.

Does not know how it answers.
"""

from __future__ import annotations

from typing import Annotated

import typer

from genrec.cli.arguments import AsJson
from genrec.cli.output import json_line, quiet_libraries, table


def recommend(
    bundle: Annotated[str, typer.Argument(help="Folder of a saved bundle, or OWNER/NAME on the hub.")],
    more_history: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="More ids of the history.")
    ] = None,
    history: Annotated[
        list[str] | None, typer.Option("--history", help="Item ids, oldest first: --history ID ID ...")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Items wanted.")] = 10,
    include_history: Annotated[
        bool, typer.Option("--include-history", help="Allow items of the history among the answers.")
    ] = False,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave ids out that the catalog does not have.")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    as_json: AsJson = False,
) -> None:
    """Recommend the next items after a history. Without a history: the most used items.

    Example: genrec recommend outputs/quickstart/bundle --history w0012 w0815 -k 10 --json
    """
    from genrec.recommender import load_recommender

    quiet_libraries()
    ids = [*(history or []), *(more_history or [])]
    found = load_recommender(bundle, revision=revision).recommend(
        ids, k, exclude_history=not include_history, unknown="skip" if skip_unknown else "error"
    )
    if as_json:
        json_line([r.to_dict() for r in found])
        return
    table(
        f"Next after {len(ids)} item(s)",
        ["item", "score", "Semantic ID", "title"],
        [(r.item_id, f"{r.score:.4f}", " ".join(r.semantic_id), r.title) for r in found],
    )
