"""`EmbeddingTable`: one vector per item, keyed by item id, in memory or mapped from disk.

Does not know where the vectors come from, nor what is made of them.
"""

from __future__ import annotations

import hashlib
import json
import tokenize
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec.artifacts import open_artifact, saved_artifact
from genrec.data import canonical_order
from genrec.errors import ArtifactError, DataError

KIND = "embeddings"
_BLOCK = 16_384  # rows looked at or copied at once


class EmbeddingTable:
    """Vectors of items, one row an item.

    Args:
        item_ids: Distinct ids, one a row.
        vectors: float32 ``[n, d]``, d >= 1. float16 and float64 are converted; a mapped float32 file stays
            mapped.

    Attributes:
        item_ids: The ids in row order.
        vectors: float32 ``[n, d]``, read only.

    Raises:
        DataError: Vectors that are no matrix of floats, have no column, hold NaN or infinity, or do not have
            as many rows as there are ids; an id that stands twice or is no text.
    """

    def __init__(self, item_ids: Sequence[str], vectors: np.ndarray) -> None:
        self.item_ids: list[str] = _checked_ids(item_ids)
        self._rows = {item: row for row, item in enumerate(self.item_ids)}
        self.vectors = _checked(vectors, len(self.item_ids))

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    def __contains__(self, item_id: object) -> bool:
        """Whether the item has a vector."""
        return item_id in self._rows

    def vectors_for(self, item_ids: Sequence[str]) -> np.ndarray:
        """Vectors of these items, float32 ``[m, d]``, in their order; all of the table's are not copied.

        Raises:
            DataError: Items without a vector; the first of them are named.
        """
        try:
            rows = np.fromiter((self._rows[item] for item in item_ids), dtype=np.int64, count=len(item_ids))
        except KeyError as error:
            missing = [item for item in item_ids if item not in self._rows]
            raise DataError(
                f"{len(missing)} of {len(item_ids)} items have no vector",
                received=f"without one: {', '.join(map(repr, missing[:5]))}"
                + (", …" if len(missing) > 5 else ""),
                remedy="encode these items too, or give a file of vectors that covers the whole item table",
            ) from error
        if len(rows) == len(self) and (rows == np.arange(len(rows))).all():
            whole = np.asarray(self.vectors)[:]  # a view, mapped from disk where the table is
            whole.flags.writeable = False
            return whole
        return np.asarray(self.vectors[rows])

    def fingerprint(self) -> str:
        """Digest of ids and vectors (64 hex digits), whatever the order of the rows."""
        digest = hashlib.sha256(f"{len(self)} {self.dim}".encode())
        order = canonical_order(self.item_ids)
        for start in range(0, len(order), _BLOCK):
            block = order[start : start + _BLOCK]
            digest.update(json.dumps(block).encode())
            digest.update(self.vectors_for(block).astype("<f4").tobytes())
        return digest.hexdigest()

    def save(self, folder: str | Path) -> None:
        """Writes the table as a folder (`vectors.npy`, `item_ids.json`, manifest) in one atomic step."""
        with saved_artifact(folder, kind=KIND, facts={"items": len(self), "dim": self.dim}) as temporary:
            np.save(temporary / "vectors.npy", self.vectors, allow_pickle=False)
            text = json.dumps(self.item_ids, ensure_ascii=False)
            (temporary / "item_ids.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> EmbeddingTable:
        """Reads what `save` wrote; the vectors stay on disk, mapped into memory.

        Raises:
            ArtifactError: The folder is missing, incomplete or altered.
        """
        folder = Path(folder)
        open_artifact(folder, kind=KIND)
        try:
            vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
            item_ids = json.loads((folder / "item_ids.json").read_text(encoding="utf-8"))
            return cls(item_ids, vectors)
        except (OSError, ValueError, DataError) as error:
            raise ArtifactError(
                f"{folder} holds no embedding table that can be read",
                received=str(error),
                remedy="encode the items again",
            ) from error

    @classmethod
    def from_files(cls, vectors_npy: str | Path, ids_file: str | Path) -> EmbeddingTable:
        """Reads vectors of your own: a `.npy` matrix and the ids of its rows.

        Args:
            vectors_npy: float matrix ``[n, d]``; a float32 one stays on disk, mapped into memory.
            ids_file: `.txt` with one id a line, `.json` with a list, or `.npy` of text, in the order of the
                rows.

        Raises:
            DataError: A file is missing, is of another kind, or the two do not fit together.
        """
        return cls(_read_ids(Path(ids_file)), _read_npy(Path(vectors_npy), mapped=True))


def _checked_ids(item_ids: Sequence[str]) -> list[str]:
    listed, seen = list(item_ids), set()
    for item in listed:
        if not isinstance(item, str) or not item:
            raise DataError(
                "an item id of the vectors is no text, or is empty",
                received=repr(item),
                remedy="write item ids as text, as they stand in the item table",
            )
        if item in seen:
            raise DataError(f"the item {item!r} has two vectors", remedy="keep one row per item id")
        seen.add(item)
    return listed


def _checked(vectors: object, rows: int) -> np.ndarray:
    remedy = "give a float32 matrix with one row per item id"
    if not isinstance(vectors, np.ndarray) or vectors.dtype.kind != "f":
        kind = vectors.dtype.name if isinstance(vectors, np.ndarray) else type(vectors).__name__
        raise DataError("item vectors must be a numpy matrix of floats", received=kind, remedy=remedy)
    if vectors.ndim != 2 or vectors.shape[1] < 1:
        raise DataError(
            "item vectors must be a matrix [items, width] with a width of at least 1",
            received=f"shape {vectors.shape}",
            remedy=remedy,
        )
    if len(vectors) != rows:
        raise DataError(
            "item vectors and item ids do not have the same number",
            received=f"{len(vectors)} vectors, {rows} ids",
            remedy=remedy,
        )
    with np.errstate(over="ignore"):
        floats = np.asanyarray(vectors, dtype=np.float32)
    for start in range(0, rows, _BLOCK):
        finite = np.isfinite(floats[start : start + _BLOCK]).all(axis=1)
        if not finite.all():
            raise DataError(
                f"row {start + int(np.argmin(finite))} of the item vectors holds NaN or infinity",
                received=f"first at row {start + int(np.argmin(finite))}, counted from 0",
                remedy="encode that item again, or leave it out",
            )
    shown = floats.view()
    shown.flags.writeable = False
    return shown


def _read_npy(path: Path, *, mapped: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a header of Python 2 is read as well, only slower
            loaded = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}", remedy="check the path"
        ) from error
    except (ValueError, EOFError, SyntaxError, tokenize.TokenError, MemoryError, TypeError) as error:
        raise DataError(  # numpy parses the header as Python
            f"{path} is no plain .npy file",
            received=str(error),
            remedy="write it with numpy.save(path, array, allow_pickle=False)",
        ) from error
    if not isinstance(loaded, np.ndarray):
        raise DataError(
            f"{path} is no .npy file", received=type(loaded).__name__, remedy="write it with numpy.save"
        )
    return loaded


def _read_ids(path: Path) -> list[str]:
    if path.suffix == ".npy":
        loaded = _read_npy(path, mapped=False).tolist()
    else:
        try:
            text = path.read_bytes().decode("utf-8-sig")
            loaded = json.loads(text) if path.suffix == ".json" else _lines(text)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}", remedy="check the path") from error
        except ValueError as error:
            raise DataError(
                f"{path} is no file of item ids",
                received=str(error),
                remedy="write UTF-8: a .txt with one id a line, or a .json with a list",
            ) from error
    if not isinstance(loaded, list):
        raise DataError(
            f"{path} must hold a list of item ids", received=type(loaded).__name__, remedy="write a list"
        )
    # Whole numbers are ids that a spreadsheet or numpy turned into numbers; the table refuses anything else.
    return [
        str(entry) if isinstance(entry, int) and not isinstance(entry, bool) else entry for entry in loaded
    ]


def _lines(text: str) -> list[str]:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines
