"""`ItemTable`: what is known about each item.

Does not know interactions or vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genrec.data.canonical import canonical_order, column_bytes, json_bytes
from genrec.data.column import Column, Place
from genrec.data.hub_datasets import dataset_source
from genrec.data.quantities import price_values
from genrec.data.readers import read_source
from genrec.data.source import Source
from genrec.data.values import category_values, own_values, text_values
from genrec.data.writers import write_table
from genrec.errors import DataError

TEXT_COLUMNS = ("item_id", "title", "brand", "description", "image")


class ItemTable:
    """Items and their columns; immutable.

    Columns genrec knows: `item_id` (text, unique), `title` (text, "" where an item has none), and where they
    are there `brand`, `description`, `image` (text, "" where missing), `categories` (list of texts, empty
    where missing) and `price` (float64, null where missing). Other columns are kept as they are.

    Args:
        table: The columns, under these names.

    Attributes:
        table: The checked columns, in the order given.
        item_ids: Ids in the order of the rows. Nothing may depend on this order: see `canonical_ids`.

    Raises:
        DataError: A missing column, no rows, an id that is missing or there twice, a value of the wrong type.
    """

    table: pa.Table
    item_ids: list[str]

    def __init__(self, table: pa.Table) -> None:
        self._set(Source.of_table(table, Place("the table")))

    @classmethod
    def read(
        cls, source: str | Path, *, columns: Mapping[str, str] | None = None, split: str | None = None
    ) -> ItemTable:
        """Reads items from a file, folder or data set.

        Ids that are numbers are taken as text, exactly as they are written (`007` in csv stays `007`).
        Categories are a list, or in text a JSON list or names with `|` between. A price is a number, or a
        text with one currency sign. csv and tsv hold texts: columns of your own are read as texts from them.

        Args:
            source: A file that ends in `.jsonl`, `.csv`, `.tsv`, `.parquet` or RecBole's `.item`, with `.gz`
                behind it or not; a folder that `datasets.Dataset.save_to_disk` made; or the name of a data
                set on the hub.
            columns: Our column name -> the source's, where they differ.
            split: The split of a data set that has several.

        Raises:
            DataError: Whatever is wrong, with file, line and column.
        """
        return cls.from_source(read_source(source, columns=columns, split=split, texts=TEXT_COLUMNS))

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> ItemTable:
        """Makes a table of one mapping an item; see `read` for what values may be."""
        return cls.from_source(Source.of_rows(rows, Place("rows")))

    @classmethod
    def from_dataset(cls, dataset: Any, columns: Mapping[str, str] | None = None) -> ItemTable:
        """Makes a table of a `datasets.Dataset` (or a `DatasetDict` with one split)."""
        return cls.from_source(dataset_source(dataset).renamed(columns))

    @classmethod
    def from_source(cls, source: Source) -> ItemTable:
        """Makes a table of raw columns, as a reader of this room hands them over."""
        items = cls.__new__(cls)
        items._set(source)
        return items

    def _set(self, source: Source) -> None:
        source.require("item_id", "title")
        self.table = pa.table({name: _values(name, column) for name, column in source.columns.items()})
        self.item_ids = self.table.column("item_id").to_pylist()
        self._row_of = {item: row for row, item in enumerate(self.item_ids)}
        if len(self._row_of) < len(self.item_ids):
            first: dict[str, int] = {}
            again = next(row for row, item in enumerate(self.item_ids) if first.setdefault(item, row) != row)
            place = source.place.spot(first[self.item_ids[again]])
            source.columns["item_id"].fail(
                again, f"this id stands in {place} already", self.item_ids[again], "keep one row an item"
            )

    def __len__(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    def __contains__(self, item_id: object) -> bool:
        """Whether there is an item of this id."""
        return item_id in self._row_of

    @cached_property
    def canonical_ids(self) -> list[str]:
        """Ids in `canonical_order`."""
        return canonical_order(self.item_ids)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names."""
        return tuple(self.table.column_names)

    def row(self, item_id: str) -> dict[str, Any]:
        """Returns all columns of an item.

        Raises:
            DataError: There is no such item.
        """
        row: dict[str, Any] = self.table.slice(self._rows([item_id])[0], 1).to_pylist()[0]
        return row

    def title(self, item_id: str) -> str:
        """Returns an item's title, "" where it has none.

        Raises:
            DataError: There is no such item.
        """
        title: str = self.table.column("title")[int(self._rows([item_id])[0])].as_py()
        return title

    def texts(self, fields: Sequence[str], item_ids: Sequence[str] | None = None) -> list[str]:
        """Returns one text an item: its non-empty fields as "value. value", the names of a list with commas.

        Args:
            fields: Column names, in the order wanted; those the table lacks are left out.
            item_ids: Which items; None = all, in the order of the rows.

        Raises:
            DataError: There is no such item.
        """
        table = self.table if item_ids is None else self.table.take(self._rows(item_ids))
        parts = [
            [_shown(value) for value in table.column(field).to_pylist()]
            for field in fields
            if field in self.columns
        ]
        rows: Iterable[Sequence[str]] = zip(*parts, strict=True) if parts else [()] * len(table)
        return [". ".join(filter(None, row)) for row in rows]

    def subset(self, item_ids: Iterable[str]) -> ItemTable:
        """Returns the rows of these items, in their order.

        Raises:
            DataError: An id is unknown or given twice.
        """
        return ItemTable(self.table.take(self._rows(item_ids)))

    def write(self, path: str | Path) -> None:
        """Writes the table in the format the name says; the file is there whole or not at all.

        Reading it back gives the same table, but for what a format cannot hold: see
        `genrec.data.writers.write_table`.
        """
        write_table(self.table, path)

    @cached_property
    def _fingerprint(self) -> str:
        table = self.table.take(self._rows(self.canonical_ids))
        digest = hashlib.sha256()
        for name in sorted(self.columns):
            digest.update(json_bytes(name))
            for chunk in column_bytes(table.column(name)):
                digest.update(chunk)
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Returns a sha256 (64 hex digits) of all values, independent of the order of rows and columns."""
        return self._fingerprint

    def _rows(self, item_ids: Iterable[str]) -> np.ndarray:
        try:
            return np.array([self._row_of[item] for item in item_ids], dtype=np.int64)
        except KeyError as error:
            raise DataError(
                "the item table has no such item",
                received=repr(error.args[0]),
                remedy=f"ids are those of its item_id column, such as {self.item_ids[0]!r}",
            ) from None


def _values(name: str, column: Column) -> pa.ChunkedArray:
    if name in TEXT_COLUMNS:
        return text_values(column, required=name == "item_id")
    if name == "categories":
        return category_values(column)
    return price_values(column) if name == "price" else own_values(column)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
