"""`InteractionLog`: who chose which item, in which order.

Does not know what an item is called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from genrec.data import splits
from genrec.data.canonical import canonical_order, column_bytes, json_bytes
from genrec.data.cases import Histories, Split
from genrec.data.items import ItemTable
from genrec.data.sources import read_source, write_table
from genrec.errors import DataError

TimeKind = Literal["absolute", "order"]


class InteractionLog:
    """A log (first version; the readers' checks follow)."""

    def __init__(self, table: pa.Table, time_kind: TimeKind) -> None:
        self.table = table
        self.time_kind: TimeKind = time_kind
        self.users: np.ndarray = _codes(table, "user_id")
        self.items: np.ndarray = _codes(table, "item_id")
        self.times: np.ndarray | None = (
            table.column("timestamp").chunk(0).to_numpy() if "timestamp" in table.column_names else None
        )
        counts = np.bincount(self.users, minlength=len(self.user_ids))
        self.offsets: np.ndarray = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @classmethod
    def from_table(cls, table: pa.Table, time: str = "auto", items: ItemTable | None = None) -> InteractionLog:
        """Sorts and encodes."""
        users = table.column("user_id").cast(pa.string()).combine_chunks().dictionary_encode()
        item = table.column("item_id").cast(pa.string()).combine_chunks().dictionary_encode()
        user_codes = np.asarray(users.indices)
        ids = item.dictionary.to_pylist()
        canonical = canonical_order(ids)
        unknown = [i for i in canonical if items is not None and i not in items]
        if unknown:
            raise DataError("unknown item", received=repr(unknown[0]))
        rank = {i: r for r, i in enumerate(canonical)}
        item_codes = np.array([rank[i] for i in ids], dtype=np.int32)[np.asarray(item.indices)]
        times = None
        order = np.argsort(user_codes, kind="stable")
        if "timestamp" in table.column_names:
            times = np.asarray(table.column("timestamp").cast(pa.int64()))
            order = np.lexsort((times, user_codes))
        columns = {
            "user_id": pa.DictionaryArray.from_arrays(pa.array(user_codes[order], pa.int32()), users.dictionary),
            "item_id": pa.DictionaryArray.from_arrays(pa.array(item_codes[order]), pa.array(canonical, pa.string())),
        }
        for name in table.column_names:
            if name not in columns:
                column = table.column(name).take(pa.array(order)).combine_chunks()
                columns[name] = pa.array(times[order]) if name == "timestamp" and times is not None else column
        log = cls(pa.table(columns), "absolute")
        if time == "order" or (time == "auto" and log._positions_only()):
            log.time_kind = "order"
        return log

    def _positions_only(self) -> bool:
        if self.times is None:
            return True
        starts = self.times[self.offsets[:-1]]
        positions = self.times - starts[self.users]
        return bool(
            np.isin(starts, (0, 1)).all() and (positions == np.arange(len(self)) - self.offsets[self.users]).all()
        )

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, Any]], time: str = "auto", items: ItemTable | None = None
    ) -> InteractionLog:
        """Makes a log of dicts."""
        return cls.from_table(pa.Table.from_pylist([dict(row) for row in rows]), time, items)

    @classmethod
    def read(
        cls,
        source: str | Path,
        *,
        columns: Mapping[str, str] | None = None,
        time: Literal["auto", "absolute", "order"] = "auto",
        items: ItemTable | None = None,
        unknown: Literal["error", "skip"] = "error",
        split: str | None = None,
    ) -> InteractionLog:
        """Reads a file."""
        return cls.from_table(read_source(source, columns), time, items)

    def __len__(self) -> int:
        """Number of interactions."""
        return len(self.users)

    @cached_property
    def user_ids(self) -> list[str]:
        """Distinct users."""
        ids: list[str] = self.table.column("user_id").chunk(0).dictionary.to_pylist()
        return ids

    @cached_property
    def item_ids(self) -> list[str]:
        """Distinct items in canonical order."""
        ids: list[str] = self.table.column("item_id").chunk(0).dictionary.to_pylist()
        return ids

    @cached_property
    def _user_code(self) -> dict[str, int]:
        return {user: code for code, user in enumerate(self.user_ids)}

    def histories(self) -> Histories:
        """All users' items as flat arrays."""
        return Histories(self.user_ids, self.item_ids, self.items, self.offsets)

    def history(self, user_id: str) -> list[str]:
        """One user's items."""
        code = self._user_code.get(user_id)
        if code is None:
            raise DataError("the log has no such user", received=repr(user_id), remedy="see user_ids")
        return [self.item_ids[i] for i in self.items[self.offsets[code] : self.offsets[code + 1]]]

    def take(self, rows: np.ndarray) -> InteractionLog:
        """The interactions at these rows (ascending positions or a mask)."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        columns = {}
        for name in self.table.column_names:
            array = self.table.column(name).chunk(0).take(pa.array(rows))
            if name in ("user_id", "item_id"):
                codes = np.asarray(array.indices)
                used = np.bincount(codes, minlength=len(array.dictionary)) > 0
                new = (np.cumsum(used) - 1).astype(np.int32)[codes]
                array = pa.DictionaryArray.from_arrays(pa.array(new), array.dictionary.filter(pa.array(used)))
            columns[name] = array
        return InteractionLog(pa.table(columns), self.time_kind)

    def k_core(self, k: int) -> InteractionLog:
        """See `genrec.data.splits.k_core`."""
        return splits.k_core(self, k)

    def leave_one_out(self) -> Split:
        """See `genrec.data.splits.leave_one_out`."""
        return splits.leave_one_out(self)

    def time_split(self, validation_share: float = 0.1, test_share: float = 0.1) -> Split:
        """See `genrec.data.splits.time_split`."""
        return splits.time_split(self, validation_share, test_share)

    def cold_item_split(self, share: float, seed: int = 0) -> Split:
        """See `genrec.data.splits.cold_item_split`."""
        return splits.cold_item_split(self, share, seed)

    def write(self, path: str | Path) -> None:
        """Writes a file."""
        write_table(self.table, Path(path))

    def fingerprint(self) -> str:
        """Digest independent of the order of users."""
        digest = hashlib.sha256(json_bytes([self.time_kind, sorted(self.table.column_names)]))
        rank = np.argsort(np.argsort(np.array(self.user_ids, dtype=object)))
        table = self.table.take(pa.array(np.argsort(rank[self.users], kind="stable")))
        for name in sorted(self.table.column_names):
            for chunk in column_bytes(table.column(name)):
                digest.update(chunk)
        return digest.hexdigest()


def _codes(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table.column(name).chunk(0).indices)
