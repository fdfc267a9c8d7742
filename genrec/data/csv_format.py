"""csv and tsv files: everything is text, so that an id such as 007 stays as it is written.

Does not know what a column means.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.csv

from genrec.data.column import Place
from genrec.data.source import Source, check_names
from genrec.errors import DataError

NEWLINE = b"\n"
BLOCK = 1 << 24  # bytes parsed at a time; a row must fit


def read_csv(
    data: pa.Buffer, name: str, *, delimiter: str, quoted: bool = True, encoded: Collection[str] = ()
) -> Source:
    """Reads delimited text with a header line.

    An empty field is missing, a quoted empty field (`""`) is an empty text. Blank lines are passed over.

    Args:
        data: The UTF-8 bytes.
        name: The file, for errors.
        delimiter: One character.
        quoted: Whether `"` encloses fields (and newlines in them), or is a character like any other.
        encoded: Columns to keep as dictionaries, which saves memory where values repeat.

    Raises:
        DataError: No header, two columns of one name, a row of another length, a quote that is not closed.
    """
    place = Place(name, lambda row: _line(data, delimiter, quoted, row + 1))
    header = next((record for _, record in _records(data, delimiter, quoted)), None)
    if header is None:
        raise DataError(f"{name} holds blank lines only", remedy="check how it was written")
    check_names(header, place)
    has_quotes = quoted and re.search(b'"', data) is not None
    if has_quotes:
        _check_quotes(data, name, delimiter)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=has_quotes
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={
                    column: pa.dictionary(pa.int32(), pa.string()) if column in encoded else pa.large_string()
                    for column in header
                },
                null_values=[""],
                strings_can_be_null=quoted,
                quoted_strings_can_be_null=False,
                check_utf8=False,  # checked already
            ),
        )
    except pa.ArrowInvalid as error:
        _check_lengths(data, name, delimiter, quoted, header)
        if "Empty CSV" not in str(error):  # a header without a newline behind it
            raise DataError(
                f"{name} cannot be read: {error}",
                remedy=f"check the file; a row must be smaller than {BLOCK} bytes",
            ) from error
        table = pa.table({column: pa.array([], pa.large_string()) for column in header})
    return Source.of_table(table, place)


def _check_quotes(data: pa.Buffer, name: str, delimiter: str) -> None:
    """Finds a quote that is not closed, or is followed by text: the fast reader would swallow rows."""
    mark = re.escape(delimiter.encode())
    field = rb'"(?:[^"]++|"")*+"|[^"' + mark + rb"\r\n][^" + mark + rb"\r\n]*+|"
    sound = re.compile(rb"(?:(?:" + field + rb")(?:" + mark + rb"|\r\n?|\n|\Z))*+").match(data)
    end = sound.end() if sound else 0
    if end < data.size:
        before, at = data.slice(0, end).to_pybytes(), data.slice(end, min(60, data.size - end)).to_pybytes()
        raise DataError(
            f"{name}, line {before.count(NEWLINE) + 1}: a field opens with a quote and does not end with one",
            received=at.decode("utf-8", "replace"),
            remedy='a quote inside a quoted field is written twice: "12"" disk"',
        )


def _check_lengths(data: pa.Buffer, name: str, delimiter: str, quoted: bool, header: list[str]) -> None:
    for line, record in _records(data, delimiter, quoted):
        if len(record) != len(header):
            raise DataError(
                f"{name}, line {line}: {len(record)} fields, where the header has {len(header)}",
                received=delimiter.join(record)[:100],
                remedy="put a field that holds the delimiter or a newline in quotes"
                if quoted
                else "a value must hold neither a tab nor a newline",
            )


def _records(data: pa.Buffer, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yields the line a record starts at and its fields, the header first; slow, for errors."""
    text = io.TextIOWrapper(pa.BufferReader(data), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        line = 1
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)


def _line(data: pa.Buffer, delimiter: str, quoted: bool, record: int) -> int:
    return next(itertools.islice(_records(data, delimiter, quoted), record, None))[0]
