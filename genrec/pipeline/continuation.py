"""Going on from a bundle: its Semantic IDs for a table that has changed since.

Does not know training.
"""

from __future__ import annotations

import logging
from pathlib import Path

from genrec.artifacts import file_sha256
from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.errors import ArtifactError, DataError
from genrec.recommender import GenerativeRecommender
from genrec.semantic_ids import ItemTokenizer

logger = logging.getLogger(__name__)


def bundle_digest(folder: Path) -> str:
    """Digest of a bundle: its manifest holds a sha256 of every file.

    Raises:
        ArtifactError: There is no bundle.
    """
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise ArtifactError(
            "there is no bundle to go on from",
            received=str(folder),
            remedy="give the folder that `genrec align` named, such as outputs/quickstart/bundle",
        )
    return file_sha256(manifest)


def grown_catalog(folder: Path, items: ItemTable) -> tuple[Catalog, ItemTokenizer | None]:
    """Semantic IDs of a table: those of the bundle where it has the item, free ones for new items.

    Raises:
        DataError: There are new items, but the bundle's IDs were read from a file and it has no item
            tokenizer.
        SemanticIdError: No room for the new items.
    """
    known = GenerativeRecommender.from_pretrained(folder)
    there = set(known.catalog.item_ids)  # retired items among them
    new = sum(item not in there for item in items.item_ids)
    gone = sum(item not in items for item in known.catalog.item_ids)
    logger.info("%s: %d items known, %d new, %d no longer there", folder, len(items) - new, new, gone)
    if not new and not gone:
        return known.catalog, known.item_tokenizer
    if not new:
        return known.catalog.with_items(None, items), known.item_tokenizer
    if known.item_tokenizer is None:
        raise DataError(
            "the bundle cannot give new items an ID: its own were read from a file",
            received=f"{new} new items, {gone} that are gone",
            remedy="start anew with a complete index (item_tokenizer.index=PATH)",
        )
    if known.item_tokenizer.encoder is None and not known.item_tokenizer.is_index:
        raise DataError(
            "the bundle cannot give new items an ID: its item tokenizer was fitted on vectors from a file",
            received=f"{new} new items",
            remedy="start anew with vectors of all items (embeddings.vectors=PATH)",
        )
    return known.catalog.with_items(known.item_tokenizer, items), known.item_tokenizer
