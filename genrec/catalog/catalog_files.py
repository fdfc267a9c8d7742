"""A catalog's folder: a parquet file with its first version, and one more for each version after it.

Does not know tries; it turns versions into files and back. A version is appended without reading or writing
those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genrec.artifacts import appended_artifact, open_artifact, saved_artifact
from genrec.catalog.catalog_version import CatalogVersion, find_version
from genrec.errors import ArtifactError, GenRecError
from genrec.semantic_ids import SemanticIdSpec

KIND = "catalog"
FILE_NAME = "catalog.parquet"


@dataclass(frozen=True)
class CatalogContents:
    """Everything a catalog is made of, rows in their order.

    Attributes:
        item_ids: n ids.
        codes: int32 `[n, L]`.
        native_codes: int32 `[n, M]`; None where they are not known.
        spec: Sizes of the L positions.
        versions: From the first to the present one; those of a folder saved before there were versions lack
            a name.
    """

    item_ids: list[str]
    codes: np.ndarray
    native_codes: np.ndarray | None
    spec: SemanticIdSpec
    versions: tuple[CatalogVersion, ...]


def write_contents(folder: str | Path, contents: CatalogContents) -> None:
    """Writes a catalog; where the folder holds one of its earlier versions, only what came after is added.

    Raises:
        ArtifactError: The folder holds something else, or is being written.
    """
    versions = contents.versions
    there = _saved_names(folder)
    begun = 0 < len(there) < len(versions)
    facts = {
        "codebook_sizes": contents.spec.codebook_sizes,
        "terminated": contents.spec.terminated,
        "items": len(contents.item_ids),
        "versions": [_described(number, version) for number, version in enumerate(versions)],
    }
    if begun and there == [version.version for version in versions[: len(there)]]:
        with appended_artifact(folder, kind=KIND, facts=facts) as temporary:
            _write_versions(temporary, contents, len(there))
        return
    with saved_artifact(folder, kind=KIND, facts=facts) as temporary:
        _write_versions(temporary, contents, 0)


def read_contents(folder: str | Path, version: str | None = None) -> CatalogContents:
    """Reads a catalog as it is now, or as it was at an earlier version.

    Raises:
        ArtifactError: A missing or changed file, or another kind of folder.
        DataError: There is no such version.
    """
    facts = open_artifact(folder, kind=KIND)
    try:
        spec = SemanticIdSpec(tuple(facts["codebook_sizes"]), facts.get("terminated", False))
        listed = facts.get("versions") or [{"version": "", "operation": "build", "file": FILE_NAME}]
        names = [CatalogVersion(v["version"], None, v["operation"], np.empty(0)) for v in listed]
        last = len(names) - 1 if version is None else find_version(names, version)
        return _replayed(Path(folder), listed[: last + 1], spec)
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise ArtifactError(
            f"{folder} is not a catalog that can be read",
            received=f"{type(error).__name__}: {error}",
            remedy="build it again",
        ) from error


def _replayed(folder: Path, listed: Sequence[dict[str, Any]], spec: SemanticIdSpec) -> CatalogContents:
    item_ids: list[str] = []
    row_of: dict[str, int] = {}
    codes: list[np.ndarray] = []
    natives: list[np.ndarray] = []
    versions: list[CatalogVersion] = []
    for entry in listed:
        table = pq.read_table(folder / entry["file"])
        ids = table["item_id"].to_pylist()
        if entry["operation"] in ("build", "add"):
            rows = np.arange(len(item_ids), len(item_ids) + len(ids), dtype=np.int32)
            row_of.update(zip(ids, rows.tolist(), strict=True))
            item_ids.extend(ids)
            codes.append(_columns(table, "code_", spec.length))
            width = sum(name.startswith("native_") for name in table.column_names)
            natives += [_columns(table, "native_", width)] if width else []
        else:
            rows = np.array([row_of[item] for item in ids], dtype=np.int32)
        parent = versions[-1].version if versions else None
        versions.append(CatalogVersion(entry["version"], parent, entry["operation"], rows))
    native = np.concatenate(natives) if len(natives) == len(codes) else None
    return CatalogContents(item_ids, np.concatenate(codes), native, spec, tuple(versions))


def _columns(table: pa.Table, prefix: str, width: int) -> np.ndarray:
    """Columns `prefix0`, `prefix1` … as int32 `[rows, width]`."""
    return np.stack([table[f"{prefix}{p}"].to_numpy() for p in range(width)], axis=1).astype(np.int32)


def _write_versions(folder: Path, contents: CatalogContents, first: int) -> None:
    for number, version in enumerate(contents.versions[first:], start=first):
        rows = version.rows
        ids = pa.array([contents.item_ids[row] for row in rows.tolist()], pa.string())
        columns: dict[str, object] = {"item_id": ids}
        if version.operation in ("build", "add"):
            codes, native = contents.codes[rows], contents.native_codes
            columns |= {f"code_{p}": codes[:, p] for p in range(codes.shape[1])}
            if native is not None:
                columns |= {f"native_{p}": native[rows, p] for p in range(native.shape[1])}
        pq.write_table(pa.table(columns), folder / _file_name(number, version))


def _file_name(number: int, version: CatalogVersion) -> str:
    return FILE_NAME if number == 0 else f"version-{number:05d}-{version.operation}.parquet"


def _described(number: int, version: CatalogVersion) -> dict[str, object]:
    return {
        "version": version.version,
        "operation": version.operation,
        "items": version.num_items,
        "file": _file_name(number, version),
    }


def _saved_names(folder: str | Path) -> list[str]:
    """Names of the versions that a folder holds; none where it holds no catalog that could be added to."""
    try:
        facts = open_artifact(folder, kind=KIND)
        return [entry["version"] for entry in facts.get("versions", [])]
    except (GenRecError, KeyError, TypeError):
        return []
