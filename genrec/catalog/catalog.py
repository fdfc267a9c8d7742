"""`Catalog`: items and their Semantic IDs, one to one.

Does not know item texts, token ids or models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from genrec.catalog.catalog_files import CatalogContents, read_contents, write_contents
from genrec.catalog.catalog_trie import CatalogTrie, trie_of
from genrec.catalog.catalog_version import CatalogVersion, switchable_rows, version_name
from genrec.catalog.published_index import published_ids
from genrec.config import fingerprint
from genrec.data import ItemTable, canonical_order
from genrec.embeddings import EmbeddingTable
from genrec.errors import ArtifactError, DataError, SemanticIdError
from genrec.semantic_ids import IdDiagnostics, ItemTokenizer, SemanticIdSpec, diagnose


class Catalog:
    """The bijection between items and Semantic IDs.

    Rows stand in `canonical_order` of the item ids, so that nothing depends on the order of an item table.
    A catalog never changes: `add`, `retire` and `restore` give another one, a version whose parent it is.
    Items that are added stand behind those that were there, so no row, ID or token is ever another item's;
    a retired item keeps its row and its ID, and leaves the trie.

    Args:
        item_ids: n distinct ids, in any order.
        codes: int `[n, L]`, the Semantic ID of each; -1 behind the end of a shorter one, where the spec is a
            terminated one.
        spec: Sizes of the L positions.
        native_codes: int `[n, M]`, the codes before collisions were resolved, for the diagnostics; None = the
            same.

    Attributes:
        item_ids: Ids, those of a version in canonical order; an item's place there is its row. Retired items
            are among them.
        codes: int32 `[n, L]` in that order.
        active: bool `[n]`, False for retired items.
        trie: The IDs of all active items; its leaves are these rows.

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
        ordered = canonical_order(given)
        order = np.array([given[item] for item in ordered])
        native = None if native_codes is None else np.asarray(native_codes, dtype=np.int32)[order]
        trie = trie_of(np.asarray(codes)[order], spec)
        chosen = np.ascontiguousarray(np.asarray(codes)[order], dtype=np.int32)
        self._set(CatalogContents(ordered, chosen, native, spec, ()), trie)

    def _set(
        self, contents: CatalogContents, trie: CatalogTrie, row_of: dict[str, int] | None = None
    ) -> None:
        """Takes up rows as they stand, with the trie of those that are active."""
        self.item_ids = contents.item_ids
        self.codes = contents.codes
        self.native_codes = contents.native_codes
        self.spec = contents.spec
        self.trie = trie
        self.active = np.zeros(len(self.item_ids), dtype=bool)
        self.active[trie.rows] = True
        self._versions = contents.versions
        self._row_of = row_of or {item: row for row, item in enumerate(self.item_ids)}

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
        item_ids, codes, spec, native = published_ids(path, items, collisions)
        return cls(item_ids, codes, spec, native_codes=native)

    def with_items(
        self,
        item_tokenizer: ItemTokenizer | None,
        items: ItemTable,
        *,
        embeddings: EmbeddingTable | None = None,
    ) -> Catalog:
        """The catalog of a table that has changed: known items keep their IDs, new ones get free ones.

        Items that the table no longer has are left out, and no new item gets their IDs; retired ones stay so.

        Args:
            item_tokenizer: The one this catalog was built with; None = no item is new.
            items: The table as it is now.
            embeddings: Content vectors of at least the new items; None = the item tokenizer's encoder makes
                them.

        Raises:
            SemanticIdError: No room for the new items, or an item tokenizer of another spec.
        """
        kept = [item for item in self.item_ids if item in items]
        new = [item for item in items.canonical_ids if item not in self._row_of]
        rows = np.array([self._row_of[item] for item in kept], dtype=np.int32)
        item_ids, codes = kept, self.codes[rows]
        native = None if self.native_codes is None else self.native_codes[rows]
        if new:
            tokenizer = self._checked(item_tokenizer)
            added, added_codes = tokenizer.encode(
                items.subset(new), embeddings=embeddings, taken_codes=self.codes
            )
            item_ids, codes = [*kept, *added], np.concatenate([codes, added_codes])
            native = _joined(native, tokenizer.native_codes)
        changed = Catalog(item_ids, codes, self.spec, native_codes=native)
        return changed.retire(item for item in self.retired_ids if item in items)

    def add(
        self, items: ItemTable, item_tokenizer: ItemTokenizer, *, embeddings: EmbeddingTable | None = None
    ) -> Catalog:
        """The next version, with items that were not there: each gets a free ID, nothing else changes.

        Args:
            items: New items; those the catalog has already, retired or not, are left as they are.
            item_tokenizer: The one this catalog was built with.
            embeddings: Content vectors of the new items; None = the item tokenizer's encoder makes them.

        Raises:
            SemanticIdError: No room for the new items, or an item tokenizer of another spec.
        """
        self._checked(item_tokenizer)
        new = [item for item in items.canonical_ids if item not in self._row_of]
        if not new:
            return self
        added, codes = item_tokenizer.encode(items.subset(new), embeddings=embeddings, taken_codes=self.codes)
        rows = np.arange(len(self), len(self) + len(added), dtype=np.int32)
        all_codes = np.concatenate([self.codes, codes.astype(np.int32)])
        native = _joined(self.native_codes, item_tokenizer.native_codes)
        name = version_name(self.version, "add", added, codes)
        contents = CatalogContents(
            [*self.item_ids, *added],
            all_codes,
            native,
            self.spec,
            (*self.versions, CatalogVersion(name, self.version, "add", rows)),
        )
        row_of = self._row_of | dict(zip(added, rows.tolist(), strict=True))
        return self._next(contents, self.trie.with_items(codes, rows), row_of)

    def retire(self, item_ids: Iterable[str]) -> Catalog:
        """The next version, without these items: they keep their IDs, and are neither found nor recommended.

        Raises:
            DataError: An item that is not there or is retired already, or no item would be left.
        """
        return self._switched("retire", item_ids)

    def restore(self, item_ids: Iterable[str]) -> Catalog:
        """The next version, with items that were retired, under the IDs they have had.

        Raises:
            DataError: An item that is not retired.
        """
        return self._switched("restore", item_ids)

    def _switched(self, operation: Literal["retire", "restore"], item_ids: Iterable[str]) -> Catalog:
        rows = switchable_rows(operation, item_ids, self._row_of, self.active)
        if not len(rows):
            return self
        if operation == "retire":
            trie = self.trie.without_items(rows)
        else:
            trie = self.trie.with_items(self.codes[rows], rows)
        name = version_name(self.version, operation, [self.item_ids[row] for row in rows])
        contents = CatalogContents(
            self.item_ids,
            self.codes,
            self.native_codes,
            self.spec,
            (*self.versions, CatalogVersion(name, self.version, operation, rows)),
        )
        return self._next(contents, trie, self._row_of)

    def _checked(self, item_tokenizer: ItemTokenizer | None) -> ItemTokenizer:
        if item_tokenizer is not None and item_tokenizer.spec == self.spec:
            return item_tokenizer
        given = "none" if item_tokenizer is None else f"sizes {item_tokenizer.spec.codebook_sizes}"
        raise SemanticIdError(
            "the item tokenizer does not make the IDs of this catalog",
            received=f"{given}, not {self.spec.codebook_sizes}",
            remedy="pass the item tokenizer the catalog was built with",
        )

    def _next(self, contents: CatalogContents, trie: CatalogTrie, row_of: dict[str, int]) -> Catalog:
        catalog = Catalog.__new__(Catalog)
        catalog._set(contents, trie, row_of)
        return catalog

    @property
    def versions(self) -> tuple[CatalogVersion, ...]:
        """All versions from the first to this one."""
        if not self._versions:
            rows = np.arange(len(self), dtype=np.int32)
            spec = np.array([self.spec.codebook_sizes])
            name = version_name(None, "build", self.item_ids, np.concatenate([spec, self.codes]))
            self._versions = (CatalogVersion(name, None, "build", rows),)
        return self._versions

    @property
    def version(self) -> str:
        """Name of this version."""
        return self.versions[-1].version

    @property
    def parent(self) -> str | None:
        """Name of the version this one was made from; None for a first one."""
        return self.versions[-1].parent

    @property
    def num_active(self) -> int:
        """Number of items that are not retired."""
        return self.trie.num_items

    @cached_property
    def retired_ids(self) -> list[str]:
        """Items that are retired, in the order of their rows."""
        return [self.item_ids[row] for row in np.flatnonzero(~self.active)]

    def __len__(self) -> int:
        """Number of rows: all items, retired ones included."""
        return len(self.item_ids)

    def __contains__(self, item_id: object) -> bool:
        """Whether an item has an ID here and is not retired."""
        row = self._row_of.get(item_id)  # type: ignore[call-overload]
        return row is not None and bool(self.active[row])

    def rows(self, item_ids: Sequence[str]) -> np.ndarray:
        """Rows of items, int32 `[len(item_ids)]`.

        Raises:
            DataError: An item that is not in the catalog, or is retired.
        """
        try:
            rows = np.array([self._row_of[item] for item in item_ids], dtype=np.int32)
        except KeyError as error:
            raise DataError(
                "the catalog does not have this item",
                received=error.args[0],
                remedy="add it, or leave it out",
            ) from None
        retired = ~self.active[rows]
        if retired.any():
            raise DataError(
                "the catalog has retired this item",
                received=item_ids[int(np.argmax(retired))],
                remedy="restore it, or leave it out",
            )
        return rows

    def tokens(self, item_id: str) -> tuple[str, ...]:
        """Semantic ID of an item, retired or not, as tokens, such as `("<a_12>", "<b_201>", "<c_7>")`.

        A terminator is not among them.

        Raises:
            DataError: An item that is not in the catalog.
        """
        if item_id not in self._row_of:
            self.rows([item_id])  # says what is wrong
        return self.spec.tokens(self.codes[self._row_of[item_id]])

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
        """Share of active items that share an ID before and after resolution; use of the codes."""
        native = None if self.native_codes is None else self.native_codes[self.active]
        sizes, terminated = self.spec.codebook_sizes, self.spec.terminated
        return diagnose(self.codes[self.active], sizes, native, terminated=terminated)

    def fingerprint(self) -> str:
        """Digest of items, their IDs, and which are retired; how they came there does not count."""
        retired = [self.retired_ids] if self.retired_ids else []
        more = [*retired, *(["terminated"] if self.spec.terminated else [])]
        return fingerprint([self.item_ids, list(self.spec.codebook_sizes), self.codes.tolist(), *more])

    def save(self, folder: str | Path) -> None:
        """Writes one folder: `catalog.parquet` (item_id, its codes, the native ones) and a manifest.

        Each later version has a file of its own. Where the folder holds one of this catalog's earlier
        versions, only the files after it are written, and the manifest last: a run that is killed before
        leaves the earlier version.

        Raises:
            ArtifactError: The folder holds something else, or is being written by another process; or it is
                part of a bundle and would be appended to.
        """
        write_contents(folder, self._contents())

    def _contents(self) -> CatalogContents:
        return CatalogContents(self.item_ids, self.codes, self.native_codes, self.spec, self.versions)

    @classmethod
    def load(cls, folder: str | Path, *, version: str | None = None) -> Catalog:
        """Reads what `save` wrote.

        Args:
            folder: Where it lies.
            version: Name of an earlier version, or its first digits; None = the newest.

        Raises:
            ArtifactError: A missing or changed file, or another kind of folder.
            DataError: There is no such version.
        """
        contents = read_contents(folder, version)
        if not contents.versions[0].version:  # saved before there were versions
            return cls(contents.item_ids, contents.codes, contents.spec, native_codes=contents.native_codes)
        active = np.zeros(len(contents.item_ids), dtype=bool)
        for change in contents.versions:
            active[change.rows] = change.operation != "retire"
        try:
            trie = trie_of(contents.codes, contents.spec)
            if not active.all():
                trie = trie.without_items(np.flatnonzero(~active))
        except SemanticIdError as error:
            raise ArtifactError(
                f"{folder} is not a catalog that can be read",
                received=str(error),
                remedy="build it again",
            ) from error
        catalog = cls.__new__(cls)
        catalog._set(contents, trie)
        return catalog


def _joined(old: np.ndarray | None, new: np.ndarray | None) -> np.ndarray | None:
    return None if old is None or new is None else np.concatenate([old, new.astype(np.int32)])
