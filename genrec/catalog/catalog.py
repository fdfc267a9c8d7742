"""`Catalog`: items and their Semantic IDs, one to one.

Does not know item texts, token ids or models.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genrec.artifacts import open_artifact, saved_artifact
from genrec.catalog.catalog_trie import CatalogTrie
from genrec.config import fingerprint
from genrec.data import ItemTable, canonical_order
from genrec.embeddings import EmbeddingTable
from genrec.errors import ArtifactError, DataError, SemanticIdError
from genrec.semantic_ids import (
    IdDiagnostics,
    ItemTokenizer,
    SemanticIdSpec,
    diagnose,
    read_index,
    resolve_extra_code,
)

logger = logging.getLogger(__name__)

KIND = "catalog"
FILE_NAME = "catalog.parquet"
EXTRA_CODES = 256  # size of the position that `from_index` appends


class Catalog:
    """The bijection between items and Semantic IDs.

    Rows stand in `canonical_order` of the item ids, so that nothing depends on the order of an item table.

    Args:
        item_ids: n distinct ids, in any order.
        codes: int `[n, L]`, the Semantic ID of each.
        spec: Sizes of the L positions.
        native_codes: int `[n, M]`, the codes before collisions were resolved, for the diagnostics; None = the
            same.

    Attributes:
        item_ids: Ids in canonical order; an item's place there is its row.
        codes: int32 `[n, L]` in that order.
        trie: All IDs; its leaves are these rows.

    Raises:
        DataError: No item, or an id twice.
        SemanticIdError: Codes that do not fit the spec, or one ID for two items.
    """

    def __init__(
        self,
        item_ids: Sequence[str],
        codes: np.ndarray,
        spec: SemanticIdSpec,
        *,
        native_codes: np.ndarray | None = None,
    ) -> None:
        given = {item: row for row, item in enumerate(item_ids)}
        if not given or len(given) != len(item_ids) or len(codes) != len(item_ids):
            raise DataError(
                "a catalog needs distinct items, one row of codes for each",
                received=f"{len(item_ids)} ids, {len(given)} of them distinct, {len(codes)} rows of codes",
                remedy="pass each item once",
            )
        self.item_ids = canonical_order(given)
        order = np.array([given[item] for item in self.item_ids])
        self.spec = spec
        self.trie = CatalogTrie.from_codes(np.asarray(codes)[order], spec.codebook_sizes)
        self.codes = np.ascontiguousarray(np.asarray(codes)[order], dtype=np.int32)
        self.native_codes = None if native_codes is None else np.asarray(native_codes, dtype=np.int32)[order]
        self._row_of = {item: row for row, item in enumerate(self.item_ids)}

    @classmethod
    def build(
        cls, item_tokenizer: ItemTokenizer, items: ItemTable, *, embeddings: EmbeddingTable | None = None
    ) -> Catalog:
        """Gives every item of the table its ID by a fitted item tokenizer.

        Args:
            item_tokenizer: Fitted.
            items: The items.
            embeddings: Their content vectors; None = the item tokenizer's encoder makes them.
        """
        item_ids, codes = item_tokenizer.encode(items, embeddings=embeddings)
        return cls(item_ids, codes, item_tokenizer.spec, native_codes=item_tokenizer.native_codes)

    @classmethod
    def from_index(
        cls, path: str | Path, items: ItemTable, *, collisions: Literal["error", "extra_code"] = "error"
    ) -> Catalog:
        """Reads IDs made elsewhere: an `index.json` that maps item ids to tokens.

        Args:
            path: The file; entries for items that the table does not have are left out and counted in the
                log.
            items: Every one of them needs an entry.
            collisions: What to do when items share an ID: refuse, or append a position of 256 codes that
                tells them apart.

        Raises:
            DataError: An item of the table has no entry.
            SemanticIdError: Shared IDs with `collisions="error"`, or more than 256 items on one ID.
        """
        known, codes, spec = read_index(path)
        row_of = {item: row for row, item in enumerate(known)}
        missing = [item for item in items.item_ids if item not in row_of]
        if missing:
            raise DataError(
                f"{path} has no Semantic ID for some items of the table",
                received=f"{len(missing)} of {len(items)} items, the first is {missing[0]!r}",
                remedy="complete the index, or take these items out of the table",
            )
        if len(known) > len(items):
            logger.info("%s: %d entries belong to no item of the table", path, len(known) - len(items))
        item_ids = canonical_order(items.item_ids)
        native = codes[[row_of[item] for item in item_ids]]
        shared = diagnose(native, spec.codebook_sizes).shared_after
        if shared == 0:
            return cls(item_ids, native, spec)
        if collisions == "error":
            raise SemanticIdError(
                f"items share Semantic IDs in {path}",
                received=f"{shared:.1%} of the items",
                remedy='read it with collisions="extra_code", which appends a code that tells them apart '
                "(in a recipe: item_tokenizer.index_collisions=extra_code)",
            )
        resolved = resolve_extra_code(native, EXTRA_CODES)
        return cls(
            item_ids, resolved, SemanticIdSpec((*spec.codebook_sizes, EXTRA_CODES)), native_codes=native
        )

    def with_items(
        self, item_tokenizer: ItemTokenizer, items: ItemTable, *, embeddings: EmbeddingTable | None = None
    ) -> Catalog:
        """The catalog of a table that has changed: known items keep their IDs, new ones get free ones.

        Items of this catalog that the table no longer has are left out; no new item gets the ID of one.

        Args:
            item_tokenizer: The one this catalog was built with.
            items: The table as it is now.
            embeddings: Content vectors of at least the new items; None = the item tokenizer's encoder makes
                them.

        Raises:
            SemanticIdError: No room for the new items, or an item tokenizer of another spec.
        """
        if item_tokenizer.spec != self.spec:
            raise SemanticIdError(
                "the item tokenizer does not make the IDs of this catalog",
                received=f"sizes {item_tokenizer.spec.codebook_sizes}, not {self.spec.codebook_sizes}",
                remedy="pass the item tokenizer the catalog was built with",
            )
        kept = [item for item in self.item_ids if item in items]
        new = [item for item in items.canonical_ids if item not in self]
        rows = self.rows(kept)
        item_ids, codes = kept, self.codes[rows]
        native = None if self.native_codes is None else self.native_codes[rows]
        if new:
            added, added_codes = item_tokenizer.encode(
                items.subset(new), embeddings=embeddings, taken_codes=self.codes
            )
            item_ids, codes = [*kept, *added], np.concatenate([codes, added_codes])
            if native is not None and item_tokenizer.native_codes is not None:
                native = np.concatenate([native, item_tokenizer.native_codes])
        return Catalog(item_ids, codes, self.spec, native_codes=native)

    def __len__(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    def __contains__(self, item_id: object) -> bool:
        """Whether an item has an ID here."""
        return item_id in self._row_of

    def rows(self, item_ids: Sequence[str]) -> np.ndarray:
        """Rows of items, int32 `[len(item_ids)]`.

        Raises:
            DataError: An item that is not in the catalog.
        """
        try:
            return np.array([self._row_of[item] for item in item_ids], dtype=np.int32)
        except KeyError as error:
            raise DataError(
                "the catalog does not have this item",
                received=error.args[0],
                remedy="add it, or leave it out",
            ) from None

    def tokens(self, item_id: str) -> tuple[str, ...]:
        """Semantic ID of an item as tokens, such as `("<a_12>", "<b_201>", "<c_7>")`.

        Raises:
            DataError: An item that is not in the catalog.
        """
        row = self.codes[self.rows([item_id])[0]]
        return tuple(self.spec.token(position, int(code)) for position, code in enumerate(row))

    def item(self, tokens: Sequence[str]) -> str | None:
        """The item that has this Semantic ID; None where no item has it.

        Raises:
            SemanticIdError: A text that is no token of the spec, or one in another position's place.
        """
        codes = []
        for place, token in enumerate(tokens):
            position, code = self.spec.parse(token)
            if position != place:
                raise SemanticIdError(
                    f"the token in place {place} belongs to another position",
                    received=token,
                    remedy="write the tokens in the order of their letters",
                )
            codes.append(code)
        row = self.trie.row_of(codes)
        return None if row < 0 else self.item_ids[row]

    @cached_property
    def item_array(self) -> np.ndarray:
        """Item ids as an object array `[n]`, to be indexed by rows."""
        return np.array(self.item_ids, dtype=object)

    def diagnostics(self) -> IdDiagnostics:
        """Share of items that share an ID before and after resolution; use of the codes per position."""
        return diagnose(self.codes, self.spec.codebook_sizes, self.native_codes)

    def fingerprint(self) -> str:
        """Digest of items and their IDs."""
        return fingerprint([self.item_ids, list(self.spec.codebook_sizes), self.codes.tolist()])

    def save(self, folder: str | Path) -> None:
        """Writes one folder: `catalog.parquet` (item_id, its codes, the native ones) and a manifest."""
        columns: dict[str, object] = {"item_id": pa.array(self.item_ids, pa.string())}
        columns |= {f"code_{p}": self.codes[:, p] for p in range(self.spec.length)}
        if self.native_codes is not None:
            columns |= {f"native_{p}": self.native_codes[:, p] for p in range(self.native_codes.shape[1])}
        facts = {"codebook_sizes": self.spec.codebook_sizes, "items": len(self)}
        with saved_artifact(folder, kind=KIND, facts=facts) as temporary:
            pq.write_table(pa.table(columns), temporary / FILE_NAME)

    @classmethod
    def load(cls, folder: str | Path) -> Catalog:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: A missing or changed file, or another kind of folder.
        """
        facts = open_artifact(folder, kind=KIND)
        try:
            spec = SemanticIdSpec(tuple(facts["codebook_sizes"]))
            table = pq.read_table(Path(folder) / FILE_NAME)
            codes = np.stack([table[f"code_{p}"].to_numpy() for p in range(spec.length)], axis=1)
            natives = [table[name].to_numpy() for name in table.column_names if name.startswith("native_")]
        except (KeyError, TypeError, pa.ArrowException) as error:
            raise ArtifactError(
                f"{folder} is not a catalog that can be read",
                received=f"{type(error).__name__}: {error}",
                remedy="build it again",
            ) from error
        native = np.stack(natives, axis=1) if natives else None
        return cls(table["item_id"].to_pylist(), codes, spec, native_codes=native)
