"""`ItemTable`: what is known about each item.

Does not know interactions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from genrec.data.canonical import canonical_order, column_bytes
from genrec.data.sources import read_source, write_table
from genrec.errors import DataError


class ItemTable:
    """Items with their texts (first version; the readers' checks follow)."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.item_ids: list[str] = [str(v) for v in table.column("item_id").to_pylist()]
        self._row_of = {item: row for row, item in enumerate(self.item_ids)}

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> ItemTable:
        """Makes a table of dicts."""
        return cls(pa.Table.from_pylist([dict(row) for row in rows]))

    @classmethod
    def read(
        cls, source: str | Path, *, columns: Mapping[str, str] | None = None, split: str | None = None
    ) -> ItemTable:
        """Reads a file."""
        return cls(read_source(source, columns))

    def __len__(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    def __contains__(self, item_id: object) -> bool:
        """Whether there is such an item."""
        return item_id in self._row_of

    @cached_property
    def canonical_ids(self) -> list[str]:
        """Ids in canonical order."""
        return canonical_order(self.item_ids)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names."""
        return tuple(self.table.column_names)

    def _rows(self, item_ids: Iterable[str]) -> list[int]:
        try:
            return [self._row_of[item] for item in item_ids]
        except KeyError as error:
            raise DataError("unknown item", received=repr(error.args[0])) from None

    def row(self, item_id: str) -> dict[str, Any]:
        """One row."""
        row: dict[str, Any] = self.table.slice(self._rows([item_id])[0], 1).to_pylist()[0]
        return row

    def title(self, item_id: str) -> str:
        """The title, "" where none."""
        return self.row(item_id).get("title") or ""

    def texts(self, fields: Sequence[str], item_ids: Sequence[str] | None = None) -> list[str]:
        """One text per item."""
        rows = self.table.take(self._rows(self.item_ids if item_ids is None else item_ids)).to_pylist()

        def part(value: Any) -> str:
            return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)

        return [". ".join(p for f in fields if (p := part(row.get(f)))) for row in rows]

    def subset(self, item_ids: Iterable[str]) -> ItemTable:
        """Rows in that order."""
        return ItemTable(self.table.take(self._rows(item_ids)))

    def write(self, path: str | Path) -> None:
        """Writes a file."""
        write_table(self.table, Path(path))

    def fingerprint(self) -> str:
        """Digest independent of row order."""
        table = self.table.take(self._rows(self.canonical_ids))
        digest = hashlib.sha256()
        for name in sorted(self.columns):
            digest.update(name.encode() + b"\0")
            for chunk in column_bytes(table.column(name)):
                digest.update(chunk)
        return digest.hexdigest()
