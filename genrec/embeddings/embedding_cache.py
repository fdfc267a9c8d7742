"""`cached_embeddings`: the same texts are encoded by the same encoder only once.

Does not know how an encoder works.
"""

from __future__ import annotations

import copy
import logging
from pathlib import Path

from genrec.artifacts import has_artifact
from genrec.config import fingerprint
from genrec.data import ItemTable
from genrec.embeddings.embedding_table import KIND, EmbeddingTable
from genrec.embeddings.item_encoder import ItemEncoder

logger = logging.getLogger(__name__)


def cached_embeddings(encoder: ItemEncoder, items: ItemTable, folder: str | Path) -> EmbeddingTable:
    """Vectors of all items: from `folder` when it has them, else encoded and kept there.

    Every pair of texts and encoder has a folder of its own in `folder`, named by its fingerprint. An encoder
    that is not fitted is fitted on these items first; the one given stays as it is.

    Args:
        encoder: Encodes what is not there yet.
        items: Items to encode.
        folder: The cache.

    Returns:
        Rows in `items.canonical_ids`, mapped into memory.

    Raises:
        ArtifactError: The cached vectors were altered.
    """
    key = fingerprint([encoder.template.fingerprint(items), encoder.fingerprint()])
    place = Path(folder) / key[:32]
    if has_artifact(place, kind=KIND):
        logger.info("content vectors of %d items: cached in %s", len(items), place)
        return EmbeddingTable.load(place)
    logger.info("content vectors of %d items: not in %s yet, encoding them", len(items), folder)
    ready = encoder if encoder.fitted else copy.copy(encoder).fit(items)
    ready.encode(items).save(place)
    return EmbeddingTable.load(place)
