"""`FilterIndex`: which items of a catalog fulfil `Filters`, as a mask over the catalog's rows.

Does not know conversations or models. A demand's mask is worked out once, by Arrow over whole columns.
"""

from __future__ import annotations

import difflib
import re
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genrec.data import ItemTable
from genrec.errors import DataError
from genrec.recommender.filters import Condition, Filters

KEPT = 256  # masks of single demands that are kept
TEXT_FIELDS = ("title", "brand", "categories", "description")


class FilterIndex:
    """Masks of filters over the rows of a catalog.

    Args:
        items: The columns.
        item_ids: The catalog's items, in the order of its rows; each has a row in the table.

    Raises:
        DataError: An item without a row.
    """

    def __init__(self, items: ItemTable, item_ids: Sequence[str]) -> None:
        self.item_ids = list(item_ids)
        self._table = items.subset(self.item_ids).table
        self._row_of = {item: row for row, item in enumerate(self.item_ids)}
        self._masks: OrderedDict[tuple[Filters, tuple[type, ...]], np.ndarray] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.item_ids)

    def mask(self, filters: Filters) -> np.ndarray:
        """Which rows fulfil the filters, bool `[n]`.

        Raises:
            DataError: A column that the table does not have, or a test that its values do not allow.
        """
        mask = np.ones(len(self), dtype=bool)
        for part in filters.parts():
            mask &= self._known(part)
        return mask

    def count(self, filters: Filters) -> int:
        """Number of items that fulfil the filters."""
        return int(self.mask(filters).sum())

    def obstacles(self, filters: Filters) -> list[tuple[Filters, int]]:
        """Single demands without which something would fit, and how much; the most helpful first.

        Empty when no one demand is the obstacle.
        """
        counts = [(part, self.count(filters.without(part))) for part in filters.parts()]
        return sorted([pair for pair in counts if pair[1]], key=lambda pair: -pair[1])

    def _known(self, part: Filters) -> np.ndarray:
        # equal demands may be of different kinds: 1 == True, and only one of them fits a column
        key = part, tuple(type(value) for test in part.where for value in test.values)
        with self._lock:
            known = self._masks.get(key)
            if known is not None:
                self._masks.move_to_end(key)
                return known
        made = self._made(part)
        made.setflags(write=False)
        with self._lock:
            self._masks[key] = made
            while len(self._masks) > KEPT:
                self._masks.popitem(last=False)
        return made

    def _made(self, part: Filters) -> np.ndarray:
        if part.min_price is not None:
            return self._condition(Condition("price", "at_least", (part.min_price,)))
        if part.max_price is not None:
            return self._condition(Condition("price", "at_most", (part.max_price,)))
        if part.brands:
            return self._condition(Condition("brand", "is", part.brands))
        if part.categories:
            return self._condition(Condition("categories", "is", part.categories))
        if part.exclude_brands:
            return self._condition(Condition("brand", "is_not", part.exclude_brands))
        if part.exclude_categories:
            return self._condition(Condition("categories", "is_not", part.exclude_categories))
        if part.words:
            return self._mentions(part.words[0])
        if part.exclude_words:
            return ~self._mentions(part.exclude_words[0])
        if part.exclude_items:
            mask = np.ones(len(self), dtype=bool)
            mask[[self._row_of[item] for item in part.exclude_items if item in self._row_of]] = False
            return mask
        return self._condition(part.where[0])

    def _mentions(self, phrase: str) -> np.ndarray:
        mask = np.zeros(len(self), dtype=bool)
        for name in TEXT_FIELDS:
            if name in self._table.column_names:
                mask |= self._condition(Condition(name, "contains", (phrase,)))
        return mask

    def _condition(self, condition: Condition) -> np.ndarray:
        column, row = self._column(condition.column)
        kind = column.type
        try:
            match condition.test:
                case "at_least" | "at_most":
                    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                        raise _unfit(condition, kind, "compare it with `is`")
                    compare = pc.greater_equal if condition.test == "at_least" else pc.less_equal
                    hits = compare(column.cast(pa.float64()), float(condition.values[0]))
                case "contains" | "contains_not":
                    hits = pc.match_substring_regex(column.cast(pa.string()), _pattern(condition.values))
                case _:
                    hits = _equal(column, condition, kind)
        except pa.ArrowException as error:
            raise _unfit(condition, kind, f"use another test ({error})") from None
        found = np.asarray(hits.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
        mask = np.bincount(row[found], minlength=len(self)) > 0
        return ~mask if condition.test in ("is_not", "contains_not") else mask

    def _column(self, name: str) -> tuple[pa.Array, np.ndarray]:
        """Values of a column, lists unfolded, and the row of each value."""
        if name not in self._table.column_names:
            near = difflib.get_close_matches(name, self._table.column_names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(
                "the filters ask for a column that the item table does not have",
                received=repr(name),
                remedy=f"{hint}it has {', '.join(self._table.column_names)}",
            )
        column = self._table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            return pc.list_flatten(column), np.asarray(pc.list_parent_indices(column), dtype=np.int64)
        return column, np.arange(len(self))


def _equal(column: pa.Array, condition: Condition, kind: pa.DataType) -> pa.Array:
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if texts:
        if not all(isinstance(value, str) for value in condition.values):
            raise _unfit(condition, kind, "compare it with texts")
        wanted = [value.casefold() for value in condition.values if isinstance(value, str)]
        encoded = column.dictionary_encode()
        folded = pa.array([v.casefold() for v in encoded.dictionary.to_pylist()], pa.string())
        return pc.is_in(folded, pa.array(wanted, pa.string())).take(encoded.indices)
    if any(isinstance(value, str) for value in condition.values):
        raise _unfit(condition, kind, "compare it with numbers or truth values")
    if pa.types.is_boolean(kind) != all(isinstance(value, bool) for value in condition.values):
        raise _unfit(condition, kind, "compare truth values with truth values, numbers with numbers")
    if pa.types.is_boolean(kind):
        return pc.is_in(column, pa.array(list(condition.values), pa.bool_()))
    return pc.is_in(column.cast(pa.float64()), pa.array([float(v) for v in condition.values]))


def _pattern(values: Sequence[object]) -> str:
    """A regular expression (RE2's syntax) for any of the phrases as whole words."""
    phrases = [r"\s+".join(map(re.escape, str(value).split())) for value in values]
    return rf"(?i)(?:^|[^\pL\pN])(?:{'|'.join(phrases)})(?:$|[^\pL\pN])"


def _unfit(condition: Condition, kind: pa.DataType, remedy: str) -> DataError:
    return DataError(
        f"the test {condition.test!r} cannot be made on the column {condition.column!r} of type {kind}",
        received=repr(condition.values),
        remedy=remedy,
    )
