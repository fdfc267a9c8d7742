"""`InteractionLog`: who chose which item, and in which order.

Does not know what an item is like; how a log is cut is in `genrec.data.splits`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genrec.data import splits
from genrec.data.canonical import canonical_order, column_bytes, json_bytes
from genrec.data.cases import Histories, Split
from genrec.data.column import Column, Place
from genrec.data.encoding import encoded, narrowed
from genrec.data.hub_datasets import dataset_source
from genrec.data.items import ItemTable
from genrec.data.quantities import number_values, time_values
from genrec.data.readers import read_source
from genrec.data.source import Source
from genrec.data.values import own_values, text_values
from genrec.data.writers import write_table
from genrec.errors import DataError

Time = Literal["auto", "absolute", "order"]
Unknown = Literal["error", "skip"]
TEXT_COLUMNS = ("user_id", "item_id", "event")

logger = logging.getLogger(__name__)


class InteractionLog:
    """Interactions as compact columns, user after user, oldest first; immutable.

    Users stand in the order of their first row. A user's interactions are ordered by time, those of the same
    time by row. Columns genrec knows: `user_id`, `item_id` (texts), and where they are there `timestamp` (see
    `genrec.data.quantities.time_values`; every row has one), `rating` (float32, null where missing) and
    `event` (text, "" where missing). Other columns are kept as they are.

    Make one with `read`, `from_rows`, `from_dataset` or `from_table` (the constructor takes columns that are
    in this form already). Their arguments:

    - `time`: whether stamps can be compared between users. `"auto"`: `"order"` if there is no `timestamp` or
      every user's stamps are 0 … n-1 or 1 … n, else `"absolute"`.
    - `items`: where given, every item must be in this table; `unknown="skip"` leaves interactions out whose
      item is not, and says how many in the log (logging).

    Attributes:
        table: The sorted columns, each in one chunk; `user_id`, `item_id` and `event` as dictionaries.
        time_kind: `"absolute"`, or `"order"` where only the order within a user is known.
        users: int32 `[interactions]`, indices into `user_ids`.
        items: int32 `[interactions]`, indices into `item_ids`.
        times: int64 `[interactions]`, or None without timestamps.
        offsets: int64 `[users + 1]`; user `u` holds the rows `offsets[u]` to `offsets[u + 1] - 1`.
    """

    def __init__(self, table: pa.Table, time_kind: Literal["absolute", "order"]) -> None:
        self.table = table
        self.time_kind: Literal["absolute", "order"] = time_kind
        self.user_ids: list[str] = table.column("user_id").chunk(0).dictionary.to_pylist()
        self.item_ids: list[str] = table.column("item_id").chunk(0).dictionary.to_pylist()
        self.users: np.ndarray = table.column("user_id").chunk(0).indices.to_numpy()
        self.items: np.ndarray = table.column("item_id").chunk(0).indices.to_numpy()
        timed = "timestamp" in table.column_names
        self.times: np.ndarray | None = table.column("timestamp").chunk(0).to_numpy() if timed else None
        self.offsets: np.ndarray = np.searchsorted(self.users, np.arange(len(self.user_ids) + 1))

    @classmethod
    def read(
        cls,
        source: str | Path,
        *,
        columns: Mapping[str, str] | None = None,
        time: Time = "auto",
        items: ItemTable | None = None,
        unknown: Unknown = "error",
        split: str | None = None,
    ) -> InteractionLog:
        """Reads interactions from a file, folder or data set.

        Args:
            source: As in `ItemTable.read`; RecBole's suffix is `.inter`.
            columns: Our column name -> the source's, where they differ.
            time: Whether stamps can be compared between users, see the class.
            items: The item table the items must be in.
            unknown: What to do with an interaction whose item is not in it.
            split: The split of a data set that has several.

        Raises:
            DataError: Whatever is wrong, with file, line and column.
        """
        raw = read_source(source, columns=columns, split=split, texts=TEXT_COLUMNS, encode=True)
        return cls._of(raw, time, items, unknown)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        time: Time = "auto",
        items: ItemTable | None = None,
        unknown: Unknown = "error",
    ) -> InteractionLog:
        """Makes a log of one mapping an interaction."""
        return cls._of(Source.of_rows(rows, Place("rows")), time, items, unknown)

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        columns: Mapping[str, str] | None = None,
        time: Time = "auto",
        items: ItemTable | None = None,
        unknown: Unknown = "error",
    ) -> InteractionLog:
        """Makes a log of a `datasets.Dataset` (or a `DatasetDict` with one split)."""
        return cls._of(dataset_source(dataset).renamed(columns), time, items, unknown)

    @classmethod
    def from_table(
        cls,
        table: pa.Table,
        time: Time = "auto",
        items: ItemTable | None = None,
        unknown: Unknown = "error",
    ) -> InteractionLog:
        """Makes a log of an Arrow table, rows in any order."""
        return cls._of(Source.of_table(table, Place("the table")), time, items, unknown)

    @classmethod
    def _of(cls, source: Source, time: Time, items: ItemTable | None, unknown: Unknown) -> InteractionLog:
        _check_choice("time", time, get_args(Time))
        _check_choice("unknown", unknown, get_args(Unknown))
        source.require("user_id", "item_id", *(["timestamp"] if time == "absolute" else []))
        arrays = {name: _values(name, column) for name, column in source.columns.items()}
        if items is not None:
            known = _known_rows(source.columns["item_id"], arrays["item_id"], items, unknown)
            if known is not None:
                arrays = {name: narrowed(array.filter(pa.array(known))) for name, array in arrays.items()}
        users = arrays["user_id"].indices.to_numpy()
        times = (
            arrays["timestamp"].to_numpy() if "timestamp" in arrays else np.zeros(len(users), dtype=np.int64)
        )
        back = (users[1:] < users[:-1]) | ((users[1:] == users[:-1]) & (times[1:] < times[:-1]))
        if back.any():
            rows = pa.array(np.lexsort([times, users]))  # stable: the same time goes by row
            arrays = {name: array.take(rows) for name, array in arrays.items()}
        log = cls(pa.table(arrays), "absolute")
        if time == "order" or (time == "auto" and log._has_positions_only()):
            log.time_kind = "order"
        return log

    def _has_positions_only(self) -> bool:
        if self.times is None:
            return True
        starts = self.times[self.offsets[:-1]]  # [users]
        positions = np.arange(len(self)) - self.offsets[self.users]  # [interactions]
        return bool(np.isin(starts, (0, 1)).all() and (self.times - starts[self.users] == positions).all())

    def __len__(self) -> int:
        """Number of interactions."""
        return len(self.users)

    @cached_property
    def _user_code(self) -> dict[str, int]:
        return {user: code for code, user in enumerate(self.user_ids)}

    def histories(self) -> Histories:
        """Returns all users' items as flat arrays."""
        return Histories(self.user_ids, self.item_ids, self.items, self.offsets)

    def history(self, user_id: str) -> list[str]:
        """Returns a user's item ids, oldest first.

        Raises:
            DataError: There is no such user.
        """
        code = self._user_code.get(user_id)
        if code is None:
            raise DataError(
                "the log has no such user",
                received=repr(user_id),
                remedy=f"ids are those of its user_id column, such as {self.user_ids[0]!r}",
            )
        return [
            self.item_ids[item] for item in self.items[self.offsets[code] : self.offsets[code + 1]].tolist()
        ]

    def take(self, rows: np.ndarray) -> InteractionLog:
        """Returns the interactions at these rows: a mask, or ascending positions."""
        rows = pa.array(np.flatnonzero(rows) if rows.dtype == bool else rows)
        columns = {name: self.table.column(name).chunk(0).take(rows) for name in self.table.column_names}
        return InteractionLog(
            pa.table({name: narrowed(array) for name, array in columns.items()}), self.time_kind
        )

    def k_core(self, k: int) -> InteractionLog:
        """Removes users and items with fewer than k interactions; see `genrec.data.splits.k_core`."""
        return splits.k_core(self, k)

    def leave_one_out(self) -> Split:
        """Cuts off each user's last two interactions; see `genrec.data.splits.leave_one_out`."""
        return splits.leave_one_out(self)

    def time_split(self, validation_share: float, test_share: float) -> Split:
        """Cuts all users at the same two moments; see `genrec.data.splits.time_split`."""
        return splits.time_split(self, validation_share, test_share)

    def cold_item_split(self, share: float, seed: int = 0) -> Split:
        """Holds items back from training; see `genrec.data.splits.cold_item_split`."""
        return splits.cold_item_split(self, share, seed)

    def write(self, path: str | Path) -> None:
        """Writes the log in the format the name says; the file is there whole or not at all.

        Reading it back gives the same log, but for what a format cannot hold: see
        `genrec.data.writers.write_table`.
        """
        write_table(self.table, path)

    @cached_property
    def _fingerprint(self) -> str:
        ids = self.table.column("user_id").chunk(0).dictionary
        order = pc.sort_indices(ids).to_numpy()
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order), dtype=order.dtype)
        rows = pa.array(np.argsort(rank[self.users], kind="stable"))  # users by id, their rows as they stand
        digest = hashlib.sha256(json_bytes([self.time_kind, sorted(self.table.column_names)]))
        digest.update(json_bytes(ids.take(pa.array(order)).to_pylist()))
        digest.update(np.diff(self.offsets)[order].astype("<i8").tobytes())
        for name in sorted(set(self.table.column_names) - {"user_id"}):
            array = self.table.column(name).chunk(0).take(rows)
            if pa.types.is_dictionary(array.type):
                digest.update(json_bytes(array.dictionary.to_pylist()))
                array = array.indices
            if pa.types.is_float32(array.type):
                array = pc.fill_null(array, np.nan)
            if array.null_count or pa.types.is_nested(array.type) or not pa.types.is_primitive(array.type):
                for chunk in column_bytes(array):
                    digest.update(chunk)
            else:
                digest.update(array.to_numpy(zero_copy_only=False).tobytes())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Returns a sha256 (64 hex digits) of all values, independent of the order of the users."""
        return self._fingerprint


def _values(name: str, column: Column) -> pa.Array:
    if name in ("user_id", "item_id"):
        texts = text_values(column, required=True)
        return encoded(texts, canonical_order if name == "item_id" else None)
    if name == "event":
        return encoded(text_values(column), sorted)
    if name == "timestamp":
        return time_values(column).combine_chunks()
    if name == "rating":
        return number_values(column, "a rating", pa.float32()).combine_chunks()
    return own_values(column).combine_chunks()


def _known_rows(
    column: Column, array: pa.DictionaryArray, items: ItemTable, unknown: Unknown
) -> np.ndarray | None:
    """A mask of the interactions with known items, None where all are."""
    ids = array.dictionary.to_pylist()
    known: np.ndarray = np.array([item in items for item in ids])[array.indices.to_numpy()]  # [interactions]
    strangers = int((~known).sum())
    if not strangers:
        return None
    row = int(np.argmin(known))
    if unknown == "error" or strangers == len(known):
        column.fail(
            row,
            f"the item table has no such item ({strangers} of {len(known)} interactions have that fault)",
            array[row].as_py(),
            'mend the id or the item table, or read with unknown="skip" to leave such interactions out',
        )
    logger.warning(
        "%s: %d of %d interactions are left out: their items are not in the item table",
        column.place.name,
        strangers,
        len(known),
    )
    return known


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(
            f"unknown {name}", received=repr(value), remedy=f"use one of {', '.join(map(repr, choices))}"
        )
