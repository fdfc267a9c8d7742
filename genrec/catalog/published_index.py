"""IDs of an item table's items from an `index.json` made elsewhere.

Does not know tries or how the IDs were made.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import numpy as np

from genrec.data import ItemTable
from genrec.errors import DataError, SemanticIdError
from genrec.semantic_ids import SemanticIdSpec, diagnose, read_index, resolve_extra_code

logger = logging.getLogger(__name__)

EXTRA_CODES = 256  # size of the position that tells apart items of one ID


def published_ids(
    path: str | Path, items: ItemTable, collisions: Literal["error", "extra_code"] = "error"
) -> tuple[list[str], np.ndarray, SemanticIdSpec, np.ndarray | None]:
    """Reads the IDs of all items of a table; see `Catalog.from_index`.

    Returns:
        Item ids in canonical order, codes int32 `[n, L]`, their spec, and the codes as they stand in the file
        where a position was appended (else None).
    """
    known, codes, spec = read_index(path)
    row_of = {item: row for row, item in enumerate(known)}
    missing = [item for item in items.item_ids if item not in row_of]
    if missing:
        raise DataError(
            f"{path} has no Semantic ID for some items of the table",
            received=f"{len(missing)} of {len(items)} items, the first is {missing[0]!r}",
            remedy="complete the index, or take these items out of the table",
        )
    if len(known) > len(items):
        logger.info("%s: %d entries belong to no item of the table", path, len(known) - len(items))
    item_ids = items.canonical_ids
    native = codes[[row_of[item] for item in item_ids]]
    shared = diagnose(native, spec.codebook_sizes, terminated=spec.terminated).shared_after
    if shared == 0:
        return item_ids, native, spec, None
    if collisions == "error":
        raise SemanticIdError(
            f"items share Semantic IDs in {path}",
            received=f"{shared:.1%} of the items",
            remedy='read it with collisions="extra_code", which appends a code that tells them apart '
            "(in a recipe: item_tokenizer.index_collisions=extra_code)",
        )
    if spec.terminated:
        raise SemanticIdError(
            f"items share Semantic IDs of unequal length in {path}",
            received=f"{shared:.1%} of the items",
            remedy="make them unique in the file: a code appended to IDs of unequal length has no position",
        )
    try:
        resolved = resolve_extra_code(native, EXTRA_CODES)
    except SemanticIdError as error:
        raise SemanticIdError(
            f"{path}: {error.problem}",
            received=error.received,
            remedy=f"make the IDs unique in the file, or put at most {EXTRA_CODES} items on one",
        ) from error
    return item_ids, resolved, SemanticIdSpec((*spec.codebook_sizes, EXTRA_CODES)), native
