"""A file of users and their histories, read a part at a time, whatever its size.

Does not know catalogs or models.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from genrec.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet")
_ROWS = 4096  # read from parquet at once
_HOW = 'write user_id and history, such as {"user_id": "u1", "history": ["i3", "i7"]}'

csv.field_size_limit(sys.maxsize)  # a history of 100,000 items is one field


@dataclass(frozen=True)
class User:
    """One user.

    Attributes:
        place: Line of the file (row of a parquet file), counted from 1.
        user_id: As the file has it.
        history: Item ids, oldest first.
    """

    place: int
    user_id: str
    history: list[str]


class UserFile:
    """Users in a jsonl, csv, tsv or parquet file; text formats plain or in gzip.

    Columns are `user_id` and `history`, others are passed over. A history is a list of item ids, oldest
    first; in csv and tsv a JSON list, or ids with `|` between. A user may stand in several rows: each is one
    request.

    Args:
        path: The file.

    Raises:
        DataError: No such file, or a name that does not say its format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.format = Path(self.path.name.lower().removesuffix(".gz")).suffix
        if self.format not in SUFFIXES or (self.format == ".parquet" and self.path.suffix == ".gz"):
            raise DataError(
                "the name of the file of users does not say its format",
                received=str(path),
                remedy=f"end it in one of {', '.join(SUFFIXES)}, the texts with .gz behind it or not",
            )
        if not self.path.is_file():
            raise DataError("there is no such file of users", received=str(path), remedy="check the path")

    def __iter__(self) -> Iterator[User]:
        """Users in the order of the file.

        Raises:
            DataError: A line that cannot be read, a missing column, or a value of another kind, with its
                place.
        """
        try:
            if self.format == ".parquet":
                yield from self._parquet()
                return
            with self._text() as stream:
                yield from self._jsonl(stream) if self.format == ".jsonl" else self._delimited(stream)
        except UnicodeDecodeError as error:
            raise self._error("is not UTF-8 text", str(error), "save it as UTF-8") from error
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise self._error(
                "cannot be read", f"{type(error).__name__}: {error}", "write it again"
            ) from error

    def parts(self, size: int) -> Iterator[list[User]]:
        """Runs of `size` users; the last one may be shorter."""
        part: list[User] = []
        for user in self:
            part.append(user)
            if len(part) == size:
                yield part
                part = []
        if part:
            yield part

    def _text(self) -> TextIO:
        if self.path.suffix.lower() == ".gz":
            return io.TextIOWrapper(gzip.open(self.path), encoding="utf-8-sig", newline="")
        return self.path.open(encoding="utf-8-sig", newline="")

    def _jsonl(self, stream: TextIO) -> Iterator[User]:
        for place, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise self._error(f"line {place} is not valid JSON", line[:100].strip(), _HOW) from error
            if not isinstance(row, dict):
                raise self._error(f"line {place} is no JSON object", line[:100].strip(), _HOW)
            self._require(row.keys(), place)
            yield self._user(place, row["user_id"], row["history"])

    def _delimited(self, stream: TextIO) -> Iterator[User]:
        rows = csv.reader(stream, delimiter="," if self.format == ".csv" else "\t", strict=True)
        try:
            names = next(rows, [])
            self._require(names, 1)
            user, history = names.index("user_id"), names.index("history")
            for row in rows:
                if not row:
                    continue
                if len(row) != len(names):
                    received = f"{len(row)} fields for {len(names)} columns"
                    raise self._error(f"line {rows.line_num} has another number of fields", received, _HOW)
                yield self._user(rows.line_num, row[user], row[history])
        except csv.Error as error:
            raise self._error(f"line {rows.line_num} cannot be read", str(error), _HOW) from error

    def _parquet(self) -> Iterator[User]:
        with pq.ParquetFile(self.path) as file:
            self._require(file.schema_arrow.names, 1)
            place = 0
            for batch in file.iter_batches(batch_size=_ROWS, columns=["user_id", "history"]):
                ids = batch.column("user_id").to_pylist()
                for user_id, history in zip(ids, batch.column("history").to_pylist(), strict=True):
                    place += 1
                    yield self._user(place, user_id, history)

    def _user(self, place: int, user_id: Any, history: Any) -> User:
        if isinstance(user_id, int) and not isinstance(user_id, bool):
            user_id = str(user_id)
        if not isinstance(user_id, str) or not user_id:
            raise self._error(f"line {place}: the user_id is no text", repr(user_id), _HOW)
        return User(place, user_id, self._history(place, history))

    def _history(self, place: int, value: Any) -> list[str]:
        if value is None:
            return []
        if isinstance(value, str):
            text = value.strip()
            if not text.startswith("["):
                return [part.strip() for part in text.split("|") if part.strip()]
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise self._error(f"line {place}: the history is no JSON list", text[:100], _HOW) from error
        if not isinstance(value, list):
            raise self._error(f"line {place}: the history is no list", repr(value)[:100], _HOW)
        ids = [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in value]
        wrong = next((one for one in ids if not isinstance(one, str) or not one), None)
        if wrong is not None or any(one is None for one in ids):
            raise self._error(
                f"line {place}: the history holds something that is no item id", repr(wrong), _HOW
            )
        return ids

    def _require(self, names: Sequence[str] | Any, place: int) -> None:
        missing = [name for name in ("user_id", "history") if name not in names]
        if not missing:
            return
        if "item_id" in names:
            remedy = (
                "this looks like a log of one interaction a line; gather it first: "
                'log = InteractionLog.read(path), then write a row {"user_id", "history"} a user'
            )
        else:
            remedy = _HOW
        found = ", ".join(map(str, names)) or "nothing"
        raise self._error(f"line {place} lacks {' and '.join(missing)}", f"columns {found}", remedy)

    def _error(self, what: str, received: str, remedy: str) -> DataError:
        return DataError(f"{self.path.name}: {what}", received=received, remedy=remedy)
