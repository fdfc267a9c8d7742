"""A recommender in memory to the hub: it is saved as a bundle first, and the bundle is published.

Does not know what a bundle holds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Protocol

from genrec.hub import ItemColumns, publish_bundle, publish_catalog


class Saved(Protocol):
    """Anything that can be saved as a bundle."""

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the bundle."""
        ...


def push_recommender(
    recommender: Saved,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
    items: ItemColumns = "all",
    license: str | None = None,
    dataset: str | None = None,
) -> str:
    """Publishes a recommender; arguments and errors as `genrec.hub.publish_bundle`."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        recommender.save_pretrained(bundle)
        return publish_bundle(
            bundle,
            repo_id,
            private=private,
            revision=revision,
            token=token,
            items=items,
            license=license,
            dataset=dataset,
        )


def push_catalog(
    recommender: Saved, repo_id: str, *, revision: str | None = None, token: str | None = None
) -> str:
    """Publishes a recommender's catalog alone; arguments and errors as `genrec.hub.publish_catalog`."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        recommender.save_pretrained(bundle)
        return publish_catalog(bundle, repo_id, revision=revision, token=token)
