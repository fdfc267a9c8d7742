"""`inspect_target`: the IDs of a bundle, a catalog or an index file, looked at from every side.

Does not know how a figure is made or printed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genrec.artifacts import has_artifact, saved_artifact
from genrec.catalog import Catalog
from genrec.data import InteractionLog, ItemTable, canonical_order
from genrec.embeddings import EmbeddingTable, ItemEncoder, load_encoder
from genrec.errors import ArtifactError, DataError
from genrec.semantic_ids import SemanticIdSpec, read_index
from genrec.semantic_ids.inspection import IdInspection, inspect_ids
from genrec.semantic_ids.inspection_page import inspection_page
from genrec.semantic_ids.inspection_plots import draw_inspection

KIND = "id_inspection"
KINDS = ("bundle", "item_level_bundle", "semantic_ids")  # folders with a catalog inside
PAGE = "report.html"


@dataclass(frozen=True)
class Target:
    """IDs, and what was saved beside them.

    Attributes:
        item_ids: Items in canonical order.
        codes: int `[n, L]`.
        spec: Sizes of the positions.
        native_codes: Codes before collisions were resolved, where they are known.
        items: The bundle's item table.
        encoder: The bundle's content encoder.
    """

    item_ids: list[str]
    codes: np.ndarray
    spec: SemanticIdSpec
    native_codes: np.ndarray | None = None
    items: ItemTable | None = None
    encoder: ItemEncoder | None = None


def read_target(path: str | Path, *, words: bool = False) -> Target:
    """Reads a bundle, the output of `build-ids`, a catalog's folder, or an index file.

    Items that a catalog has retired are left out; `words`: see `read_index`.

    Raises:
        ArtifactError: A folder that is none of these, or is damaged.
        DataError: A file that is no index.
    """
    path = Path(path)
    if not path.is_dir():
        item_ids, codes, spec = read_index(path, words=words)
        return Target(item_ids, codes, spec)
    if has_artifact(path, kind="catalog"):
        return _of_catalog(Catalog.load(path))
    if not any(has_artifact(path, kind=kind) for kind in KINDS):
        raise ArtifactError(
            f"{path} holds no Semantic IDs",
            received="a folder that is no bundle, no catalog and no output of build-ids",
            remedy="give outputs/quickstart/bundle, outputs/quickstart/ids, or an index.json",
        )
    catalog = Catalog.load(path / "catalog")
    table, encoder = path / "items.parquet", path / "item_tokenizer" / "encoder"
    return _of_catalog(
        catalog,
        ItemTable.read(table) if table.is_file() else None,
        load_encoder(encoder) if encoder.is_dir() else None,
    )


def _of_catalog(
    catalog: Catalog, items: ItemTable | None = None, encoder: ItemEncoder | None = None
) -> Target:
    item_ids = canonical_order(np.array(catalog.item_ids, dtype=object)[catalog.active].tolist())
    rows = catalog.rows(item_ids)
    native = None if catalog.native_codes is None else catalog.native_codes[rows]
    return Target(item_ids, catalog.codes[rows], catalog.spec, native, items, encoder)


def inspect_target(
    target: str | Path,
    output: str | Path,
    *,
    items: str | Path | None = None,
    interactions: str | Path | None = None,
    vectors: str | Path | None = None,
    words: bool = False,
) -> IdInspection:
    """Inspects IDs and writes `report.html`, its pictures, `inspection.json` and `inspection.md`.

    Args:
        target: See `read_target`.
        output: Folder for the report; an earlier report there is replaced.
        items: Item table, for what codes mean and how they agree with categories; None = the bundle's own.
        interactions: Log, for neighbours by co-occurrence; only its training part (leave-one-out) counts.
        vectors: Folder of an embedding table; None = the bundle's encoder makes them of its items, where it
            can.
        words: The target is an index file whose IDs are words.

    Raises:
        DataError: Tables that do not cover the IDs.
        ArtifactError: A target or an output folder that cannot be used.
    """
    found = read_target(target, words=words)
    table = ItemTable.read(items) if items is not None else found.items
    item_ids = found.item_ids
    if table is not None and not all(item in table for item in item_ids):
        missing = [item for item in item_ids if item not in table]
        raise DataError(
            "the item table does not have all items of the IDs",
            received=f"{len(missing)} of {len(item_ids)} are missing, the first is {missing[0]!r}",
            remedy="give the table that the IDs were made for",
        )
    log = None
    if interactions is not None:
        log = InteractionLog.read(interactions, items=table, unknown="skip").leave_one_out().train
    embeddings = EmbeddingTable.load(vectors) if vectors is not None else None
    if embeddings is None and found.encoder is not None and table is not None:
        embeddings = found.encoder.encode(table.subset(item_ids))
    inspection = inspect_ids(
        item_ids,
        found.codes,
        found.spec,
        native_codes=found.native_codes,
        items=table,
        interactions=log,
        embeddings=embeddings,
        name=f"Semantic IDs of {Path(target).name}",
    )
    with saved_artifact(output, kind=KIND, facts={"target": str(target)}) as temporary:
        pictures = draw_inspection(inspection, temporary)
        (temporary / PAGE).write_text(inspection_page(inspection, pictures), encoding="utf-8")
        text = json.dumps(inspection.to_dict(), indent=1, ensure_ascii=False)
        (temporary / "inspection.json").write_text(text, encoding="utf-8")
        (temporary / "inspection.md").write_text(inspection.to_markdown(), encoding="utf-8")
    return inspection
