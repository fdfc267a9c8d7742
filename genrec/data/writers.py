"""Tables to files, so that reading them back gives the same table.

Does not know what a column means.
"""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from genrec.data.column import plain
from genrec.data.files import format_to_write, written_file
from genrec.data.recbole import recbole_table
from genrec.errors import DataError

TEXT = pa.large_string()
ROWS = 1 << 17  # rows written at a time


def write_table(table: pa.Table, path: str | Path) -> None:
    """Writes a table in the format its name says; the file is there whole or not at all.

    - parquet and jsonl keep all columns (in jsonl dates and decimals become texts).
    - csv and tsv hold texts: lists are written as JSON, and own columns come back as texts.
    - RecBole's `.item` and `.inter` hold texts, numbers and flat lists of them, without tabs and newlines.

    Raises:
        DataError: An unknown suffix, or values the format cannot hold.
    """
    path = Path(path)
    kind = format_to_write(path)
    if kind == "recbole":
        table = recbole_table(table, path.name)
    with written_file(path) as stream:
        if kind == "parquet":
            pyarrow.parquet.write_table(table, stream)
        elif kind == "jsonl":
            for rows in _batches(table):
                stream.writelines(_json_line(row, path.name) for row in _exact_floats(rows).to_pylist())
        else:
            _write_delimited(
                table, stream, path.name, "," if kind == "csv" else "\t", quoted=kind != "recbole"
            )


def _batches(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, len(table), ROWS):
        yield table.slice(start, ROWS)


def _exact_floats(table: pa.Table) -> pa.Table:
    """A table with float32 columns as float64 of the same decimals: 4.3 and not 4.300000190734863."""
    for index, field in enumerate(table.schema):
        if pa.types.is_float32(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(TEXT).cast(pa.float64()))
    return table


def _json_line(row: dict[str, Any], name: str) -> bytes:
    return (
        json.dumps(row, ensure_ascii=False, default=lambda value: _as_text(value, name)).encode("utf-8")
        + b"\n"
    )


def _as_text(value: object, name: str) -> str:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise DataError(
        f"{name}: JSON has no form for this value", received=repr(value)[:100], remedy="write parquet"
    )


def _write_delimited(table: pa.Table, stream: BinaryIO, name: str, delimiter: str, *, quoted: bool) -> None:
    """Writes a header and rows; a missing value is an empty field, an empty text a quoted one."""
    special = f'["{delimiter}\r\n]|^$'
    heads = [pa.chunked_array([pa.array([head], TEXT)]) for head in table.column_names]
    _write_lines(stream, [_quote(head, special) if quoted else head for head in heads], delimiter)
    for rows in _batches(table):
        fields = [_field_texts(rows.column(column), column, name) for column in rows.column_names]
        _write_lines(stream, [_quote(field, special) if quoted else field for field in fields], delimiter)


def _field_texts(values: pa.ChunkedArray, column: str, name: str) -> pa.ChunkedArray:
    values = plain(values)
    if pa.types.is_nested(values.type):
        texts = [
            None if value is None else _json_line(value, name)[:-1].decode() for value in values.to_pylist()
        ]
        return pa.chunked_array([pa.array(texts, TEXT)])
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        raise DataError(
            f"{name}: column {column} holds bytes", received=str(values.type), remedy="write parquet"
        )
    return values.cast(TEXT)


def _quote(texts: pa.ChunkedArray, special: str) -> pa.ChunkedArray:
    quote = pa.scalar('"', TEXT)
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise(quote, doubled, quote, pa.scalar("", TEXT))
    return pc.if_else(pc.match_substring_regex(texts, special), quoted, texts)


def _write_lines(stream: BinaryIO, fields: list[pa.ChunkedArray], delimiter: str) -> None:
    fields = [pc.fill_null(field, "") for field in fields]
    lines = pc.binary_join_element_wise(*fields, pa.scalar(delimiter, TEXT))
    ended = pc.binary_join_element_wise(lines, pa.scalar("", TEXT), pa.scalar("\n", TEXT))
    for chunk in ended.chunks:
        offsets = np.frombuffer(chunk.buffers()[1], dtype=np.int64)[
            chunk.offset : chunk.offset + len(chunk) + 1
        ]
        stream.write(memoryview(chunk.buffers()[2])[offsets[0] : offsets[-1]])
