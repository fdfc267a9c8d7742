"""jsonl files: one JSON object a line.

Does not know what a column means.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from genrec.data.column import Place, WrittenFloat
from genrec.data.source import Source
from genrec.errors import DataError

CHUNK = 1 << 26  # bytes


def read_jsonl(data: pa.Buffer, name: str, *, texts: Collection[str] = ()) -> Source:
    """Reads one object a line; a key that a line lacks is missing there, blank lines are passed over.

    Args:
        data: The UTF-8 bytes.
        name: The file, for errors.
        texts: Columns whose numbers are wanted exactly as they are written.

    Raises:
        DataError: A line that is not a JSON object, named with its number.
    """
    table = _fast(data, texts)
    if table is not None:
        return Source.of_table(table, Place(name, lambda row: row + 1))
    lines: list[int] = []
    rows = _objects(data, name, lines)
    return Source.of_rows(rows, Place(name, lambda row: lines[row]))


def _fast(data: pa.Buffer, texts: Collection[str]) -> pa.Table | None:
    """The table as Arrow reads it, None where that is not exactly what is written."""
    schema = None
    for _ in range(2):
        try:
            table = pyarrow.json.read_json(
                pa.BufferReader(data),
                read_options=pyarrow.json.ReadOptions(block_size=1 << 24),
                parse_options=pyarrow.json.ParseOptions(explicit_schema=schema),
            )
        except (pa.ArrowException, UnicodeDecodeError):
            return None
        dates = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
        if not dates:
            break
        schema = pa.schema(
            [(date, pa.string()) for date in dates]
        )  # Arrow takes texts that look like dates for dates
    raw = np.frombuffer(data, dtype=np.uint8)
    newlines = sum(int((raw[start : start + CHUNK] == 10).sum()) for start in range(0, len(raw), CHUNK))
    one_a_line = table.num_rows == newlines + (raw[-1] != 10)
    return table if one_a_line and all(_is_exact(table, field, texts) for field in table.schema) else None


def _is_exact(table: pa.Table, field: pa.Field, texts: Collection[str]) -> bool:
    """Whether no number was rounded and no text was taken for a date."""
    if pa.types.is_float64(field.type):
        largest = pc.max(pc.abs(table.column(field.name))).as_py() or 0.0
        return field.name not in texts and largest < 2**53
    return "timestamp" not in str(field.type) and "double" not in str(field.type)


def _objects(data: pa.Buffer, name: str, lines: list[int]) -> Iterator[dict[str, Any]]:
    """Yields the objects, and appends the line of each to `lines` before."""
    for number, line in enumerate(io.TextIOWrapper(pa.BufferReader(data), "utf-8", newline="\n"), start=1):
        if line.isspace():
            continue
        lines.append(number)
        try:
            value = json.loads(line, parse_float=WrittenFloat)
        except (ValueError, RecursionError) as error:
            place = f", at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
            raise DataError(
                f"{name}, line {number}: not valid JSON ({getattr(error, 'msg', error)}{place})",
                received=line.strip()[:100],
                remedy="write one JSON object a line",
            ) from None
        if not isinstance(value, dict):
            raise DataError(
                f"{name}, line {number}: a JSON {type(value).__name__}, not an object",
                received=line.strip()[:100],
                remedy='write one object a line, such as {"item_id": "a", "title": "A red pen"}',
            )
        yield value
