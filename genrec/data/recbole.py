"""RecBole's atomic files (`.item`, `.inter`): tab-separated text under a header such as `item_id:token`.

Does not know what a column means. Follows the "atomic files" page of RecBole's documentation.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from genrec.data.column import Column, Place, is_text, plain
from genrec.data.csv_format import read_csv
from genrec.data.source import Source, check_names
from genrec.data.values import TEXT, sequence_values
from genrec.errors import DataError

KINDS = ("token", "token_seq", "float", "float_seq")
SEPARATORS = (" ", "|", ", ")


def read_recbole(data: pa.Buffer, name: str, *, encoded: Collection[str] = ()) -> Source:
    """Reads an atomic file; quotes are characters like any other, as RecBole writes them.

    Args:
        data: The UTF-8 bytes.
        name: The file, for errors.
        encoded: Columns (without their types) to keep as dictionaries.

    Raises:
        DataError: A header without types, or a row of another length.
    """
    raw = read_csv(
        data, name, delimiter="\t", quoted=False, encoded=[f"{column}:token" for column in encoded]
    )
    columns: dict[str, Column] = {}
    names = []
    for head, column in raw.columns.items():
        own, _, kind = head.rpartition(":")
        if kind not in KINDS or not own:
            raise DataError(
                f"{name}, line 1: a column without its type",
                received=head,
                remedy=f"write name:type with a type of {', '.join(KINDS)}; name a plain table .tsv",
            )
        names.append(own)
        columns[own] = replace(column, name=own, kind=kind)
    check_names(names, raw.place)
    return Source(raw.place, columns)


def recbole_table(table: pa.Table, name: str) -> pa.Table:
    """Returns a table as texts under typed names, ready to be joined with tabs.

    Lists are joined by a space where no entry holds one, else by `|` (tell RecBole `seq_separator: "|"`),
    else by a comma and a space.

    Raises:
        DataError: A text with a tab or a newline, lists that cannot be told apart again, or a type RecBole
            lacks.
    """
    columns = {}
    for column in table.column_names:
        values = plain(table.column(column))
        kind = values.type
        if is_text(kind):
            columns[f"{column}:token"] = pc.fill_null(values.cast(TEXT), "")
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            columns[f"{column}:float"] = pc.fill_null(values.cast(TEXT), "")
        elif pa.types.is_list(kind) and is_text(kind.value_type):
            columns[f"{column}:token_seq"] = _joined(values, column, name)
        elif pa.types.is_list(kind) and (
            pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)
        ):
            columns[f"{column}:float_seq"] = _number_texts(values, column, name)
        else:
            raise DataError(
                f"{name}: RecBole has no type for column {column}",
                received=str(kind),
                remedy="write parquet or jsonl",
            )
    for head, values in columns.items():
        bad = pc.index(pc.match_substring_regex(values, "[\t\r\n]"), True).as_py()
        if bad >= 0:
            raise DataError(
                f"{name}: row {bad + 1}, column {head} holds a tab or a newline; RecBole's cannot",
                received=repr(values[bad].as_py())[:100],
                remedy="write parquet, jsonl or csv, or replace them first",
            )
    return pa.table(columns)


def _joined(values: pa.ChunkedArray, column: str, name: str) -> pa.ChunkedArray:
    lists = [value or [] for value in values.to_pylist()]
    if not any(part is None for value in lists for part in value):
        for separator in SEPARATORS:
            texts = pa.chunked_array([pa.array([separator.join(value) for value in lists], TEXT)])
            if sequence_values(Column(column, texts, Place(name))).to_pylist() == lists:
                return texts
    _refuse_lists(column, name)


def _number_texts(values: pa.ChunkedArray, column: str, name: str) -> pa.ChunkedArray:
    lists = [value or [] for value in values.to_pylist()]
    if any(number is None for value in lists for number in value):
        _refuse_lists(column, name)
    return pa.chunked_array([pa.array([" ".join(map(repr, value)) for value in lists], TEXT)])


def _refuse_lists(column: str, name: str) -> NoReturn:
    raise DataError(
        f"{name}: the lists of column {column} could not be told apart again in RecBole's format",
        received="empty or missing entries, or entries that hold every separator: space, | and comma",
        remedy="write parquet, jsonl or csv",
    )
