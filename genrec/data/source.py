"""What a reader hands over: named columns of raw values.

Does not know formats, or what a column means.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa

from genrec.data.column import Column, Place
from genrec.errors import DataError


@dataclass(frozen=True)
class Source:
    """Columns under their names, and their place."""

    place: Place
    columns: dict[str, Column]

    @classmethod
    def of_table(cls, table: pa.Table, place: Place) -> Source:
        """Takes the columns of an Arrow table.

        Raises:
            DataError: Two columns have the same name.
        """
        check_names(table.column_names, place)
        return cls(place, {name: Column(name, table.column(name), place) for name in table.column_names})

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]], place: Place) -> Source:
        """Takes rows; a key that a row lacks is missing there.

        Raises:
            DataError: A row is not a mapping with texts as keys.
        """
        columns: dict[str, list[Any]] = {}
        count = 0
        for row in rows:
            if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
                raise DataError(
                    f"{place.at(count)}: not a mapping of column names to values",
                    received=repr(row)[:100],
                    remedy='give one mapping a row, such as {"item_id": "a", "title": "A red pen"}',
                )
            for name, value in row.items():
                column = columns.get(name)
                if column is None:
                    column = columns[name] = [None] * count
                column.append(value.item() if isinstance(value, np.generic) else value)
            count += 1
            for column in columns.values():
                if len(column) < count:
                    column.append(None)
        return cls(place, {name: Column(name, values, place) for name, values in columns.items()})

    def renamed(self, columns: Mapping[str, str] | None) -> Source:
        """Returns the columns under our names.

        Args:
            columns: Our name -> the source's name; the others keep theirs.

        Raises:
            DataError: The source has no such column, or two columns end with one name.
        """
        for ours, theirs in (columns or {}).items():
            if theirs not in self.columns:
                self._missing(theirs, f"it was asked for as {ours}")
        ours_of: dict[str, list[str]] = {}
        for ours, theirs in (columns or {}).items():
            ours_of.setdefault(theirs, []).append(ours)
        renamed: dict[str, Column] = {}
        for name, column in self.columns.items():
            for ours in ours_of.get(name, [name]):
                if ours in renamed:
                    raise DataError(
                        f"{self.place.name}: two columns would be called {ours}",
                        received=f"{renamed[ours].name} and {name}",
                        remedy=f'give the other one a name too: columns={{"own_{ours}": "{ours}", …}}',
                    )
                renamed[ours] = column
        return replace(self, columns=renamed)

    def require(self, *names: str) -> None:
        """Checks that columns are there and that there are rows.

        Raises:
            DataError: One is missing (the error names those found and the nearest), or there is no row.
        """
        if not self.columns or not len(next(iter(self.columns.values())).values):
            raise DataError(
                f"{self.place.name} has no rows",
                received=f"columns {', '.join(self.columns)}" if self.columns else "nothing",
                remedy="check how it was written",
            )
        for name in names:
            if name not in self.columns:
                self._missing(name, "every row needs it")

    def _missing(self, name: str, why: str) -> NoReturn:
        folded = {found.lower(): found for found in self.columns}
        near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
        nearest = folded[near[0]] if near else "its name there"
        raise DataError(
            f"{self.place.name} has no column {name} ({why})",
            received=f"columns {', '.join(self.columns)}",
            remedy=f'if it is there under another name, say so: columns={{"{name}": "{nearest}"}}'
            + ("; an empty title column does where there are no titles" if name == "title" else ""),
        )


def check_names(names: list[str], place: Place) -> None:
    """Checks that no two columns have the same name.

    Raises:
        DataError: Two have.
    """
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(
            f"{place.name} has two columns of the same name",
            received=f"{twice[0]} in columns {', '.join(names)}",
            remedy="rename one of them",
        )
