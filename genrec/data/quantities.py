"""What a column's raw values mean: numbers, prices and times.

Does not know files. Works on whole Arrow columns, and looks for the first bad row only when that fails.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genrec.data.column import Column, checked_array, is_text, kind_of, plain

TEXT = pa.large_string()
ZONED = r"^.{10}.*(Z|[+-]\d\d(:?\d\d)?)$"
EXACT = 2**53  # a float holds every whole number below


def number_values(column: Column, what: str, kind: pa.DataType, *, sign: bool = True) -> pa.ChunkedArray:
    """Returns finite numbers; missing ones (empty, null, NaN from a typed source) are null.

    Args:
        column: Numbers or texts.
        what: "a rating" or "a price", for errors.
        kind: float32 or float64.
        sign: Whether a number may be negative.

    Raises:
        DataError: Something that is no finite number.
    """
    return _numbers(column, _typed(column, what), what, kind, sign)


def price_values(column: Column) -> pa.ChunkedArray:
    """Returns prices as float64, missing ones as null.

    A price is a number, or a text that is one but for a single currency sign (`$`, `€`, …) before or behind
    it. It is not negative.

    Raises:
        DataError: Something else.
    """
    array = _typed(column, "a price")
    if is_text(array.type):
        array = pc.utf8_trim_whitespace(array)
        array = pc.replace_substring_regex(array, r"^\p{Sc}\s*|\s*\p{Sc}$", "", max_replacements=1)
    return _numbers(column, array, "a price", pa.float64(), sign=False)


def time_values(column: Column) -> pa.ChunkedArray:
    """Returns int64 stamps whose order is the order of the moments.

    - Whole numbers stay as they are: seconds, milliseconds, positions.
    - Numbers with a fraction: every stamp becomes a whole number of microseconds (times 1,000,000).
    - ISO-8601 texts, dates and timestamps: Unix seconds in UTC (no zone = UTC); where one has a fraction, all
      become microseconds, or nanoseconds if that is what it takes.

    Raises:
        DataError: A missing stamp, something that is no time, or numbers and ISO texts in one column.
    """
    array = _typed(column, "a time")
    row = pc.index(pc.is_null(array), True).as_py()
    if row >= 0:
        column.fail(row, "the time is missing", None, "every row needs a time once the column is there")
    if pa.types.is_integer(array.type):
        return _cast(column, array, pa.int64(), "a time", "it must fit in 64 bits")
    if is_text(array.type):
        return _times_of_texts(column, array)
    if pa.types.is_floating(array.type):
        return _times_of_floats(column, array)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        unit = array.type.unit if pa.types.is_timestamp(array.type) else "s"
        return _coarsest(array.cast(pa.timestamp(unit)))
    _wrong_type(column, "a time")


def _raw(column: Column, row: int) -> Any:
    value = column.values[row]
    return value.as_py() if isinstance(value, pa.Scalar) else value


def _wrong_type(column: Column, what: str) -> NoReturn:
    values = column.python()
    row = next(index for index, value in enumerate(values) if value is not None)
    column.fail(row, f"not {what} but {kind_of(values[row])}", values[row], f"write {what} in every row")


def _typed(column: Column, what: str) -> pa.ChunkedArray:
    """One Arrow column of numbers, texts or times; Python values of several types are brought to text."""
    array = column.arrow()
    if array is None:
        texts: list[str | None] = []
        for row, value in enumerate(column.python()):
            if isinstance(value, datetime.date):
                texts.append(value.isoformat())
            elif value is None or (isinstance(value, float) and np.isnan(value)):
                texts.append(None)
            elif isinstance(value, str) or kind_of(value) == "a number":
                texts.append(str(value))
            else:
                column.fail(row, f"not {what} but {kind_of(value)}", value, f"write {what} in every row")
        array = checked_array(column, texts, TEXT)
    return plain(array)


def _number_remedy(what: str) -> str:
    example = "12.99, or $12.99 with one currency sign" if what == "a price" else "4.5"
    return f"write it as a plain number such as {example}; leave it empty (null) where there is none"


def _numbers(
    column: Column, array: pa.ChunkedArray, what: str, kind: pa.DataType, sign: bool
) -> pa.ChunkedArray:
    if is_text(array.type):
        array = pc.if_else(pc.equal(array, ""), pa.scalar(None, array.type), array)
        array = _cast(column, array, pa.float64(), what, _number_remedy(what))
    elif pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    elif not (
        pa.types.is_integer(array.type) or pa.types.is_decimal(array.type) or pa.types.is_null(array.type)
    ):
        _wrong_type(column, what)
    numbers = array.cast(kind, safe=False)
    good = pc.is_finite(numbers) if sign else pc.and_(pc.is_finite(numbers), pc.greater_equal(numbers, 0))
    row = pc.index(pc.fill_null(good, True), False).as_py()
    if row >= 0:
        column.fail(row, f"not {what}", _raw(column, row), _number_remedy(what))
    return numbers


def _cast(
    column: Column, array: pa.ChunkedArray, kind: pa.DataType, what: str, remedy: str
) -> pa.ChunkedArray:
    """Casts, or names the first row that does not let itself be cast."""
    try:
        return _strict_cast(array, kind)
    except pa.ArrowInvalid:
        row = _first_bad(array, lambda part: _strict_cast(part, kind))
        column.fail(row, f"not {what}", _raw(column, row), remedy)


def _strict_cast(array: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if is_text(array.type) and pc.any(pc.match_substring(array, "x", ignore_case=True)).as_py():
        raise pa.ArrowInvalid("a hexadecimal number, which Arrow would read")
    return array.cast(kind)


def _first_bad(array: pa.ChunkedArray, convert: Callable[[pa.ChunkedArray], object]) -> int:
    """Finds the first value that `convert` refuses, by halving."""
    start, count = 0, len(array)
    while count > 1:
        half = count // 2
        try:
            convert(array.slice(start, half))
            start, count = start + half, count - half
        except pa.ArrowInvalid:
            count = half
    return start


def _times_of_texts(column: Column, array: pa.ChunkedArray) -> pa.ChunkedArray:
    if re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", array[0].as_py()):
        try:
            return _strict_cast(array, pa.int64())
        except pa.ArrowInvalid:
            numbers = _cast(
                column, array, pa.float64(), "a number like the first row's", "write all times alike"
            )
            return _times_of_floats(column, numbers)
    for unit in ("s", "us", "ns"):
        try:
            return _coarsest(_utc(array, unit))
        except pa.ArrowInvalid:
            continue
    row = _first_bad(array, lambda part: _utc(part, "ns"))
    remedy = "write all times alike: as whole numbers, or as ISO-8601 such as 2024-05-31T18:00:00Z"
    column.fail(row, "not a time", _raw(column, row), remedy)


def _utc(array: pa.ChunkedArray, unit: str) -> pa.ChunkedArray:
    """Parses ISO-8601 texts, those with a zone and those without."""
    zoned = pc.match_substring_regex(array, ZONED)
    missing = pa.scalar(None, array.type)
    local = pc.if_else(zoned, missing, array).cast(pa.timestamp(unit))
    moments = pc.if_else(zoned, array, missing).cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit))
    return pc.coalesce(local, moments)


def _times_of_floats(column: Column, array: pa.ChunkedArray) -> pa.ChunkedArray:
    numbers = array.cast(pa.float64()).to_numpy()
    bad = ~(np.abs(numbers) < EXACT)  # catches NaN too
    if not bad.any():
        scaled = numbers if (numbers == np.floor(numbers)).all() else np.rint(numbers * 1e6)
        bad = np.abs(scaled) >= 2.0**63
    if bad.any():
        row = int(np.argmax(bad))
        column.fail(
            row, "not a time that can be kept exactly", _raw(column, row), "write times as whole numbers"
        )
    return pa.chunked_array([pa.array(scaled.astype(np.int64))])


def _coarsest(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Timestamps as int64 in the coarsest of seconds, microseconds and nanoseconds that loses nothing."""
    unit = array.type.unit
    stamps = array.cast(pa.int64()).to_numpy()
    if unit == "ms":
        stamps, unit = (stamps // 1000, "s") if not (stamps % 1000).any() else (stamps * 1000, "us")
    for finer, coarser, factor in (("ns", "us", 1000), ("us", "s", 1_000_000)):
        if unit == finer and not (stamps % factor).any():
            stamps, unit = stamps // factor, coarser
    return pa.chunked_array([pa.array(stamps)])
