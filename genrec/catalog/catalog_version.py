"""`CatalogVersion`: what one version of a catalog changed over its parent, and how versions are named.

Does not know tries or files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from genrec.data import canonical_order
from genrec.errors import DataError

Operation = Literal["build", "add", "retire", "restore"]


@dataclass(frozen=True)
class CatalogVersion:
    """One version of a catalog.

    Attributes:
        version: Its name: a sha256 (64 hex digits) of its parent's name and of what was changed.
        parent: Name of the version it was made from; None for the first.
        operation: What was done.
        rows: int32, catalog rows it was done to; of a `build` or an `add` the rows that joined.
    """

    version: str
    parent: str | None
    operation: Operation
    rows: np.ndarray = field(compare=False, repr=False)

    @property
    def num_items(self) -> int:
        """Items that the version built, added, retired or restored."""
        return len(self.rows)


def version_name(
    parent: str | None, operation: Operation, item_ids: Sequence[str], codes: np.ndarray | None = None
) -> str:
    """Name of the version that does `operation` to these items, with their IDs where they join."""
    digest = hashlib.sha256(f"{parent} {operation} {len(item_ids)}\n".encode())
    digest.update("\n".join(item_ids).encode())
    if codes is not None:
        digest.update(f"\n{codes.shape}\n".encode())
        digest.update(np.ascontiguousarray(codes, dtype="<i4").tobytes())
    return digest.hexdigest()


def switchable_rows(
    operation: Literal["retire", "restore"],
    item_ids: Iterable[str],
    row_of: Mapping[str, int],
    active: np.ndarray,
) -> np.ndarray:
    """Rows, int32, of items that can be retired or restored, in canonical order of their ids.

    Args:
        operation: What is to be done.
        item_ids: The items; one that stands twice counts once.
        row_of: Row of every item.
        active: bool `[rows]`, which are not retired now.

    Raises:
        DataError: A text in place of a list, an item that is not there, one that is retired already (or not
            retired, to be restored), or no item would be left.
    """
    if isinstance(item_ids, str):
        raise DataError(
            f"{operation} takes a list of item ids", received=repr(item_ids), remedy=f"pass [{item_ids!r}]"
        )
    listed, retiring = canonical_order(item_ids), operation == "retire"
    strangers = [item for item in listed if item not in row_of or active[row_of[item]] != retiring]
    if strangers:
        raise DataError(
            f"cannot {operation} {len(strangers)} items: "
            + ("they are not there, or are retired already" if retiring else "they are not retired"),
            received=", ".join(map(repr, strangers[:5])),
            remedy="leave them out",
        )
    if retiring and len(listed) == int(active.sum()):
        raise DataError(
            "a catalog needs an item that is not retired",
            received=f"all {len(listed)} to be retired",
            remedy="keep at least one",
        )
    return np.array([row_of[item] for item in listed], dtype=np.int32)


def find_version(versions: Sequence[CatalogVersion], name: str) -> int:
    """Place of the version that `name`, whole or its first digits, names.

    Raises:
        DataError: None or several are so named.
    """
    found = [place for place, version in enumerate(versions) if name and version.version.startswith(name)]
    if len(found) != 1:
        raise DataError(
            "the catalog has no such version" if not found else "several versions are so named",
            received=repr(name),
            remedy=f"name one of: {', '.join(version.version[:12] for version in versions[-5:])}",
        )
    return found[0]
