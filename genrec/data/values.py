"""What a column's raw values mean: texts, categories, and columns of one's own.

Does not know files. Numbers, prices and times are read in `genrec.data.quantities`.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from genrec.data.column import Column, WrittenFloat, checked_array, is_text, kind_of, plain
from genrec.data.quantities import number_values

TEXT = pa.large_string()
TEXTS = pa.list_(TEXT)
UNFIT = (pa.ArrowException, OverflowError, TypeError, ValueError)  # what pa.array raises for unfit values


def text_values(column: Column, *, required: bool = False) -> pa.ChunkedArray:
    """Returns texts, missing ones as ""; numbers as they are written.

    Args:
        column: Texts or numbers.
        required: Whether a missing or empty text is an error.

    Returns:
        Texts, as a dictionary column where the source is one.

    Raises:
        DataError: Another kind of value, or none where one is required.
    """
    array = column.arrow()
    if array is not None and pa.types.is_dictionary(array.type) and is_text(array.type.value_type):
        texts = plain(array) if any(chunk.dictionary.null_count for chunk in array.chunks) else array
    elif array is not None and (is_text(array.type) or pa.types.is_integer(array.type)):
        texts = array.cast(TEXT)
    elif array is not None and pa.types.is_null(array.type):
        texts = pa.chunked_array([pa.nulls(len(array), TEXT)])
    else:
        texts = checked_array(
            column, [_text(column, row, value) for row, value in enumerate(column.python())], TEXT
        )
    if not required:
        return pc.fill_null(plain(texts), "") if texts.null_count else texts
    parts = (
        [chunk.dictionary for chunk in texts.chunks] if pa.types.is_dictionary(texts.type) else texts.chunks
    )
    if texts.null_count or any(pc.index(part, pa.scalar("", part.type)).as_py() >= 0 for part in parts):
        row = pc.index(pc.fill_null(pc.equal(plain(texts), ""), True), True).as_py()
        column.fail(row, "the id is missing", texts[row].as_py() or "", "give every row its id")
    return texts


def category_values(column: Column) -> pa.ChunkedArray:
    """Returns lists of texts, missing ones as empty lists.

    A text is read as a JSON list where it starts with `[`, else it is split at `|` (parts are stripped, empty
    ones left out). RecBole's `token_seq` is split as `sequence_values` says.

    Raises:
        DataError: Another kind of value.
    """
    if column.kind == "token_seq":
        return sequence_values(column)
    lists = [_categories(column, row, value) for row, value in enumerate(column.python())]
    return checked_array(column, lists, TEXTS)


def sequence_values(column: Column) -> pa.ChunkedArray:
    """Returns the lists of a RecBole `token_seq` column.

    They are separated by the first of `|` and `, ` that occurs anywhere in the column, else by the space,
    which is RecBole's own. Empty parts are left out, as RecBole does.
    """
    texts = [text or "" for text in column.python()]
    separator = next((mark for mark in ("|", ", ") if any(mark in text for text in texts)), " ")
    return pa.chunked_array(
        [pa.array([[part for part in text.split(separator) if part] for text in texts], TEXTS)]
    )


def own_values(column: Column) -> pa.ChunkedArray:
    """Returns the values of a column genrec has no use for, as they are.

    Raises:
        DataError: Values of several kinds in one column, which Arrow cannot hold.
    """
    if column.kind == "float":
        return number_values(column, "a number", pa.float64())
    if column.kind == "token_seq":
        return sequence_values(column)
    if column.kind == "float_seq":
        return pa.chunked_array(
            [[_number_list(column, row, text) for row, text in enumerate(column.python())]]
        )
    if column.kind == "token":
        return text_values(column)
    array = column.arrow()
    array = _own_list(column) if array is None else plain(array)
    return array.cast(TEXT) if is_text(array.type) else array


def _text(column: Column, row: int, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if kind_of(value) != "a number":
        column.fail(row, f"not a text but {kind_of(value)}", value, "write a text (in JSON: in quotes)")
    return value.text if isinstance(value, WrittenFloat) else str(value)


def _categories(column: Column, row: int, value: Any) -> list[str]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            column.fail(
                row, "starts with [ but is no JSON list", value, 'write ["Beauty", "Hair"] or Beauty|Hair'
            )
    elif isinstance(value, str):
        return [part.strip() for part in value.split("|") if part.strip()]
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        column.fail(
            row,
            f"not a list of texts but {kind_of(value)}",
            value,
            'write a flat list such as ["Beauty", "Hair"]',
        )
    return list(value)


def _number_list(column: Column, row: int, text: str | None) -> list[float]:
    try:
        return [float(number) for number in (text or "").split()]
    except ValueError:
        column.fail(row, "not numbers with spaces between", text, "write them like 0.5 1.25")


def _own_list(column: Column) -> pa.ChunkedArray:
    """Python values that Arrow may take together, such as whole numbers and numbers with a point."""
    values = column.python()
    good, bad = 0, len(values) + 1  # the first good rows make a column, the first bad ones do not
    middle = len(values)
    while bad - good > 1:
        try:
            array = pa.array(values[:middle])
            good = middle
        except UNFIT:
            bad = middle
        middle = (good + bad) // 2
    if good == len(values):
        return pa.chunked_array([array])
    column.fail(
        good, "it does not fit the rows before it", values[good], "write one kind of value in a column"
    )
