"""The one order of items that every room uses, and digests of columns.

Does not know what a row or an item is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

CHUNK = 1 << 16


def canonical_order(item_ids: Iterable[str]) -> list[str]:
    """Returns the distinct ids ordered by the sha256 of their UTF-8 bytes.

    The order is the same whatever the order of the argument, and says nothing about the items: ids that are
    numbered by popularity, time or category lose that trace.
    """
    return sorted(set(item_ids), key=id_hash)


def id_hash(identifier: str, seed: int | None = None) -> str:
    """Returns the sha256 (64 hex digits) of an id; with a seed, of `"<seed>:<id>"`."""
    text = identifier if seed is None else f"{seed}:{identifier}"
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def column_bytes(column: pa.ChunkedArray | pa.Array) -> Iterator[bytes]:
    """Yields a column's values as JSON lists, the same bytes however the column is chunked or encoded."""
    for start in range(0, len(column), CHUNK):
        yield json_bytes(column.slice(start, CHUNK).to_pylist())


def json_bytes(value: Any) -> bytes:
    """Returns compact ASCII JSON; what JSON does not know goes in as its `repr`."""
    return json.dumps(value, separators=(",", ":"), default=repr).encode("ascii")
