"""The command `publish`: a bundle to the hub, in one commit.

Does not know how it is done.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from genrec.cli.output import line


class Items(StrEnum):
    """Which columns of the item table go along."""

    all = "all"
    titles = "titles"
    ids = "ids"


def publish(
    bundle: Annotated[Path, typer.Argument(help="Folder of a saved bundle.")],
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub.")],
    items: Annotated[
        Items, typer.Option(help="Columns of the item table that go along; ids = no text at all.")
    ] = Items.all,
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public", help="Who may see it; private where item texts go along, if not said."
        ),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, made where it is not there.")] = None,
    license: Annotated[
        str | None,
        typer.Option(
            help="The hub's name of a licence, for weights from scratch; a base model's is carried."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Data set on the hub the metrics were measured on, if there is one.")
    ] = None,
    catalog_only: Annotated[
        bool, typer.Option("--catalog-only", help="Change the catalog of what is published, nothing else.")
    ] = False,
    card: Annotated[
        Path | None, typer.Option(help="Write the model card to this file to look at; publish nothing.")
    ] = None,
) -> None:
    """Publish a bundle on the Hugging Face Hub: everything it needs and a model card, in one commit.

    Log in before with `hf auth login`, or set HF_TOKEN. User ids and histories are not in a bundle.

    Example: genrec publish outputs/quickstart/bundle you/quickstart --items titles --license mit
    """
    from genrec import hub
    from genrec.artifacts import atomic_write_text

    if card is not None:
        text = hub.card_of(bundle, repo_id, items=items.value, license=license, dataset=dataset)
        atomic_write_text(card, text)
        line(f"The card is in {card}; nothing was published.")
        return
    if catalog_only:
        commit = hub.publish_catalog(bundle, repo_id, revision=revision)
    else:
        commit = hub.publish_bundle(
            bundle,
            repo_id,
            private=private,
            revision=revision,
            items=items.value,
            license=license,
            dataset=dataset,
        )
    line(f"{repo_id} at {commit}")
    line(f'Use it: GenerativeRecommender.from_pretrained("{repo_id}", revision="{commit[:7]}")')
