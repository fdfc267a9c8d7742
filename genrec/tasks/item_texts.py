"""What an item table says of a catalog's items, as columns of texts that all tasks share.

Does not know prompts or token ids.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.errors import DataError
from genrec.tasks.segments import ColumnTexts
from genrec.tasks.text_columns import TextColumn

logger = logging.getLogger(__name__)


class ItemTexts:
    """The texts of a catalog's items; tasks that share one share its tokenised texts too.

    Args:
        catalog: Its rows are the rows of every column.
        items: Their texts.
    """

    def __init__(self, catalog: Catalog, items: ItemTable) -> None:
        self.catalog = catalog
        self.items = items
        self._columns: dict[tuple[str, ...], TextColumn | None] = {}

    def column(self, *fields: str) -> TextColumn | None:
        """The items' non-empty fields as "value. value".

        Returns:
            None where the item table has none of the fields, or nothing in them; the log (logging) says so
            once.
        """
        if fields not in self._columns:
            column = TextColumn(" and ".join(fields), self.items.texts(fields, self.catalog.item_ids))
            self._columns[fields] = column if column.filled().any() else None
            if self._columns[fields] is None:
                logger.warning(
                    "the item table has no %s: forms of tasks that need it are left out (its columns: %s)",
                    column.name,
                    ", ".join(self.items.columns),
                )
        return self._columns[fields]

    def filled(self, field: str, max_characters: int | None = None) -> np.ndarray:
        """Which catalog rows have a text in this column, of at most so many characters; bool `[rows]`."""
        column = self.column(field)
        if column is None:
            return np.zeros(len(self.catalog), dtype=bool)
        return column.filled(max_characters)

    def shown(self, field: str, rows: Sequence[int] | np.ndarray, separator: str = "\n") -> ColumnTexts:
        """The texts of these rows as a segment.

        Raises:
            DataError: The item table has nothing in this column.
        """
        column = self.column(field)
        if column is None:
            raise DataError(
                f"the item table has no {field}",
                received=f"columns {', '.join(self.items.columns)}",
                remedy="leave out the task that needs it, or add the column",
            )
        return ColumnTexts(column, rows, separator)


class ItemForms:
    """One row per item that has a form, and the forms of each.

    Args:
        forms: Form name -> which catalog rows have it, bool `[catalog]`.
        excluded: bool `[catalog]`, rows that no training row may name.
        what: What an item needs, for the message.

    Raises:
        DataError: No item has a form.
    """

    def __init__(self, forms: Mapping[str, np.ndarray], excluded: np.ndarray, *, what: str) -> None:
        self.names = tuple(forms)
        self.masks = np.stack(list(forms.values()), axis=1) & ~excluded[:, None]  # [catalog, forms]
        self.rows = np.flatnonzero(self.masks.any(axis=1))
        if not len(self.rows):
            raise DataError(
                f"no item has {what}",
                received=f"{len(excluded)} items, {int(excluded.sum())} of them held out",
                remedy="add the column to the item table, or leave the task out",
            )

    def __len__(self) -> int:
        """Items with a form."""
        return len(self.rows)

    def draw(self, index: int, rng: np.random.Generator) -> tuple[int, str]:
        """Catalog row of item `index`, and one of its forms, each as likely as another."""
        row = int(self.rows[index])
        return row, drawn_form(self.names, self.masks[row], rng)


def drawn_form(names: Sequence[str], has: np.ndarray | Sequence[bool], rng: np.random.Generator) -> str:
    """One of the forms that are there, each as likely as another."""
    there = [name for name, is_there in zip(names, has, strict=True) if is_there]
    return there[int(rng.integers(len(there)))]


def held_out_rows(catalog: Catalog, held_out: Collection[str]) -> np.ndarray:
    """Which catalog rows no training row may name, bool `[catalog]`: retired items, and those held out.

    Ids the catalog does not have are passed over.
    """
    excluded = ~catalog.active
    excluded[catalog.rows([item for item in held_out if item in catalog])] = True
    return excluded
