"""The command `recommend`: a bundle answering on the command line, to one history or to a file of users.

Does not know how it answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrec.cli.arguments import AsJson, History
from genrec.cli.output import json_line, line, quiet_libraries, table
from genrec.errors import ConfigError


def recommend(
    bundle: Annotated[str, typer.Argument(help="Folder of a saved bundle, or OWNER/NAME on the hub.")],
    history: History = None,
    query: Annotated[
        str | None, typer.Option("--query", help='What is wanted, in words: --query "lip balm"')
    ] = None,
    filters: Annotated[
        str,
        typer.Option("--filters", help='As JSON or KEY=VALUE ...: --filters "max_price=15 brands=Velora"'),
    ] = "",
    k: Annotated[int, typer.Option("-k", help="Items wanted.")] = 10,
    include_history: Annotated[
        bool, typer.Option("--include-history", help="Allow items of the history among the answers.")
    ] = False,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave ids out that the catalog does not have.")
    ] = False,
    users: Annotated[
        Path | None,
        typer.Option(help="Batch: a jsonl, csv, tsv or parquet file with user_id and history; needs --out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Batch: the file to write, .parquet, .jsonl or .csv.")
    ] = None,
    part_size: Annotated[int, typer.Option(help="Batch: users of a part; what is done stays done.")] = 2048,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Batch: part I (from 0) of N processes, where no launcher says it."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Batch: replace an output of another job.")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:1 …; auto = an accelerator if there is one.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Recommend the next items after a history; without a history: the most used items.

    With --users a list for every user of a file. A run that was stopped goes on where it was; under
    `accelerate launch -m genrec.cli.main recommend ...` the processes share the work.

    Example: genrec recommend outputs/quickstart/bundle --history w0012 w0815 -k 10 --json

    Example: genrec recommend outputs/quickstart/bundle --query "lip gloss" --filters max_price=15

    Example: genrec recommend outputs/quickstart/bundle --users users.jsonl --out recs.parquet
    """
    ids = history or []
    if users is not None or out is not None:
        if users is None or out is None or ids or query or filters:
            raise ConfigError(
                "a batch needs a file of users and a file to write, and no history, query or filters",
                received=f"--users {users}, --out {out}, {len(ids)} id(s), {query=}, {filters=}",
                remedy="pass --users FILE --out FILE, or --history ID ... alone",
            )
        _batch(
            bundle,
            users,
            out,
            k=k,
            include_history=include_history,
            skip_unknown=skip_unknown,
            part_size=part_size,
            shard=shard,
            overwrite=overwrite,
            revision=revision,
            device=device,
        )
        return
    from genrec.recommender import Filters, load_recommender, own_device

    quiet_libraries()
    recommender = load_recommender(bundle, revision=revision, device=own_device(device))
    found = recommender.recommend(
        ids,
        k,
        query=query,
        filters=Filters().edited(filters),
        exclude_history=not include_history,
        unknown="skip" if skip_unknown else "error",
    )
    if as_json:
        json_line([r.to_dict() for r in found])
        return
    table(
        f"Next after {len(ids)} item(s)",
        ["item", "score", "Semantic ID", "title"],
        [(r.item_id, f"{r.score:.4f}", " ".join(r.semantic_id), r.title) for r in found],
    )


def _batch(
    bundle: str,
    users: Path,
    out: Path,
    *,
    k: int,
    include_history: bool,
    skip_unknown: bool,
    part_size: int,
    shard: str | None,
    overwrite: bool,
    revision: str | None,
    device: str,
) -> None:
    from genrec.hub import bundle_folder
    from genrec.recommender import load_recommender, own_device, score_users

    quiet_libraries()
    folder = bundle_folder(bundle, revision=revision)
    done = score_users(
        load_recommender(folder, device=own_device(device)),
        folder,
        users,
        out,
        k=k,
        exclude_history=not include_history,
        unknown="skip" if skip_unknown else "error",
        part_size=part_size,
        shard=None if shard is None else _shard(shard),
        overwrite=overwrite,
    )
    if done.skipped:
        line(f"skipped, the same lists are in {done.out}")
    elif done.joined:
        line(f"lists of {done.users:,} users in {done.out} ({done.made:,} made by this process now)")
    else:
        line(f"{done.made:,} lists made; others are still at work, the last one writes {done.out}")


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise ConfigError("a shard is written I/N", received=text, remedy="the first of three is 0/3")
    return int(number), int(count)
