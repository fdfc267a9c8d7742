"""`ItemEncoder`: what every content encoder can do, and the way back from a saved folder.

Does not know how any of them works.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from genrec.artifacts import open_artifact
from genrec.data import ItemTable
from genrec.embeddings import image_encoder, lsa, text_encoder
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.errors import ArtifactError


class EncodedColumns(Protocol):
    """What of an item is encoded: texts or pictures."""

    def fingerprint(self, items: ItemTable) -> str:
        """Digest of all ids and what is encoded of them, whatever the order of the rows."""


class ItemEncoder(Protocol):
    """Items in, one content vector an item out. A frozen encoder has nothing to fit and is always fitted."""

    @property
    def template(self) -> EncodedColumns:
        """What of an item is encoded."""

    @property
    def fitted(self) -> bool:
        """Whether it can encode as it stands."""

    def fit(self, items: ItemTable) -> ItemEncoder:
        """Learns from the items what it needs, and returns itself."""

    def encode(self, items: ItemTable) -> EmbeddingTable:
        """Vectors of all items, rows in `items.canonical_ids`."""

    def fingerprint(self) -> str:
        """Digest of everything the vectors depend on besides the texts."""

    def save(self, folder: str | Path) -> None:
        """Writes what `load_encoder` needs."""


def load_encoder(folder: str | Path) -> ItemEncoder:
    """Reads an encoder of any kind that was saved.

    Raises:
        ArtifactError: The folder is missing or altered, or its kind of encoder is not known.
    """
    name = open_artifact(folder, kind=lsa.KIND, verify=False).get("encoder")
    if name == lsa.NAME:
        return lsa.LsaItemEncoder.load(folder)
    if name == text_encoder.NAME:
        return text_encoder.TextItemEncoder.load(folder)
    if name == image_encoder.NAME:
        return image_encoder.ImageItemEncoder.load(folder)
    raise ArtifactError(
        f"{folder} holds an encoder this version of genrec does not know",
        received=repr(name),
        remedy="use the version of genrec that saved it",
    )
