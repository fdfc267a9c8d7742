"""`TextTemplate`: which fields of an item make up the text that is encoded.

Does not know how a text becomes a vector.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from genrec.data import ItemTable
from genrec.errors import ConfigError, DataError

DEFAULT_FIELDS = ("title", "brand", "categories", "description")


@dataclass(frozen=True)
class TextTemplate:
    """The fields of an item, joined in this order; a field the table or the item lacks is left out.

    Attributes:
        fields: Column names of the item table.

    Raises:
        ConfigError: No field, or one that stands twice.
    """

    fields: tuple[str, ...] = DEFAULT_FIELDS

    def __post_init__(self) -> None:
        """Checks the fields."""
        if not self.fields or len(set(self.fields)) != len(self.fields):
            raise ConfigError(
                "a text template needs at least one field, each of them once",
                received=repr(self.fields),
                remedy=f"give column names of the item table, such as {DEFAULT_FIELDS}",
            )
        object.__setattr__(self, "fields", tuple(self.fields))

    def texts(self, items: ItemTable, item_ids: list[str] | None = None) -> list[str]:
        """One text an item, in the order of `item_ids` (default: `items.canonical_ids`).

        Raises:
            DataError: The item table has none of the fields.
        """
        there = [field for field in self.fields if field in items.columns]
        if not there:
            raise DataError(
                "the item table has none of the fields to encode",
                received=f"fields {', '.join(self.fields)}; columns {', '.join(items.columns)}",
                remedy="name fields that are columns of the item table",
            )
        return items.texts(there, items.canonical_ids if item_ids is None else item_ids)

    def fingerprint(self, items: ItemTable) -> str:
        """Digest of all ids and texts (64 hex digits), whatever the order of the rows."""
        digest = hashlib.sha256()
        for item, text in zip(items.canonical_ids, self.texts(items), strict=True):
            digest.update(json.dumps([item, text]).encode())
        return digest.hexdigest()
