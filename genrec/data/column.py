"""One column of raw values and the place its rows have in the file.

Does not know formats, or what the column means.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import pyarrow as pa

from genrec.errors import DataError


class WrittenFloat(float):
    """A number with a point or an exponent that still knows how it was written."""

    text: str

    def __new__(cls, text: str) -> WrittenFloat:
        """Parses the number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


@dataclass(frozen=True)
class Place:
    """Where rows come from.

    Attributes:
        name: The file, or what stands for one.
        line_of: Gives a row's line (from 1), row 0 being the first; None where there are no lines.
    """

    name: str
    line_of: Callable[[int], int] | None = None

    def at(self, row: int) -> str:
        """Returns words for a row, such as "items.csv, line 3"."""
        return f"{self.name}, {self.spot(row)}"

    def spot(self, row: int) -> str:
        """Returns the row's place inside the file, such as "line 3"."""
        return f"line {self.line_of(row)}" if self.line_of else f"row {row + 1}"


@dataclass(frozen=True)
class Column:
    """Raw values of one column.

    Attributes:
        name: Its name in the source.
        values: Arrow values, or a list of Python values whose types may differ.
        place: Where its rows lie.
        kind: RecBole's type (`token`, `float`, `token_seq`, `float_seq`) where the file states one.
    """

    name: str
    values: pa.ChunkedArray | list[Any]
    place: Place
    kind: str | None = None

    def arrow(self) -> pa.ChunkedArray | None:
        """Returns the values as one Arrow column, None where no single type holds them exactly."""
        if not isinstance(self.values, list):
            return self.values
        kinds = {type(value) for value in self.values if value is not None}
        if len(kinds) > 1 and not all(issubclass(kind, str) for kind in kinds):
            return None
        try:
            array = pa.array(self.values)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            return None
        return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])

    def python(self) -> list[Any]:
        """Returns the values as Python values."""
        return self.values if isinstance(self.values, list) else self.values.to_pylist()

    def fail(self, row: int, problem: str, value: object, remedy: str) -> NoReturn:
        """Raises a DataError that names file, line and column."""
        shown = repr(value)
        raise DataError(
            f"{self.place.at(row)}, column {self.name}: {problem}",
            received=shown if len(shown) <= 100 else f"{shown[:100]} … ({len(shown)} characters)",
            remedy=remedy,
        )


def is_text(kind: pa.DataType) -> bool:
    """Tells whether an Arrow type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def plain(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns a dictionary column as its values, any other column as it is."""
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def kind_of(value: object) -> str:
    """Returns words for the type of a Python value, for errors."""
    names = {bool: "a truth value", list: "a list", dict: "an object", str: "a text", bytes: "bytes"}
    return names.get(
        type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}"
    )


def checked_array(column: Column, values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    """Makes an Arrow column of texts or lists of texts.

    Raises:
        DataError: Half a surrogate pair, which Python's texts can hold and UTF-8 cannot.
    """
    try:
        return pa.chunked_array([pa.array(values, kind)])
    except UnicodeEncodeError:
        row = next(
            row for row, value in enumerate(values) if re.search("[\ud800-\udfff]", "".join(value or ""))
        )
        column.fail(row, "half a surrogate pair, which is no character", ascii(values[row]), "write it whole")
