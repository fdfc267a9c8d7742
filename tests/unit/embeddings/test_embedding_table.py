"""The table of vectors: what it refuses, and what stays the same on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genrec.embeddings import EmbeddingTable
from genrec.errors import ArtifactError, DataError

IDS = ["b", "a", "ü c"]
VECTORS = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)


def test_rows_are_found_by_item() -> None:
    table = EmbeddingTable(IDS, VECTORS)
    assert (len(table), table.dim, table.item_ids) == (3, 2, IDS)
    assert "a" in table
    assert "x" not in table
    np.testing.assert_array_equal(table.vectors_for(["ü c", "b", "b"]), [[5, 6], [1, 2], [1, 2]])
    assert table.vectors_for([]).shape == (0, 2)


def test_vectors_cannot_be_written_to() -> None:
    mine = VECTORS.copy()
    table = EmbeddingTable(IDS, mine)
    with pytest.raises(ValueError, match="read-only"):
        table.vectors[0, 0] = 9
    mine[0, 0] = 1  # the caller's own array stays as it was


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(dtype: type) -> None:
    table = EmbeddingTable(IDS, VECTORS.astype(dtype))
    assert table.vectors.dtype == np.float32
    np.testing.assert_array_equal(table.vectors, VECTORS)


@pytest.mark.parametrize(
    ("item_ids", "vectors", "says"),
    [
        (IDS, VECTORS[:2], "2 vectors, 3 ids"),
        (["a", "a", "b"], VECTORS, "'a' has two vectors"),
        (["a", "", "b"], VECTORS, "no text, or is empty"),
        (["a", 3, "b"], VECTORS, "no text, or is empty"),
        (IDS, VECTORS[:, :0], "width of at least 1"),
        (IDS, VECTORS[:, 0], "matrix"),
        (IDS, VECTORS.astype(np.int64), "int64"),
        (IDS, VECTORS.astype(object), "object"),
        (IDS, VECTORS.tolist(), "list"),
        (IDS, np.array([[1, 2], [np.nan, 4], [5, 6]], dtype=np.float32), "row 1 .* NaN"),
        (IDS, np.array([[1, 2], [3, 4], [5, -np.inf]], dtype=np.float32), "row 2 .* infinity"),
        (IDS, np.array([[1, 2], [3, 4], [5, 1e300]]), "row 2"),
    ],
)
def test_what_is_no_table_is_refused(item_ids: list[str], vectors: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=f"(?s){says}"):
        EmbeddingTable(item_ids, vectors)


def test_missing_items_are_named() -> None:
    with pytest.raises(DataError, match=r"2 of 3 items have no vector\nreceived: without one: 'x', 'y'"):
        EmbeddingTable(IDS, VECTORS).vectors_for(["x", "a", "y"])


def test_saved_table_is_mapped_and_the_same(tmp_path: Path) -> None:
    table = EmbeddingTable(IDS, VECTORS)
    table.save(tmp_path / "e")
    loaded = EmbeddingTable.load(tmp_path / "e")
    assert loaded.item_ids == IDS
    np.testing.assert_array_equal(loaded.vectors, VECTORS)
    assert isinstance(loaded.vectors, np.memmap)
    assert type(loaded.vectors_for(IDS)) is np.ndarray
    assert loaded.fingerprint() == table.fingerprint()


def test_fingerprint_depends_on_values_and_ids_but_not_on_order() -> None:
    table = EmbeddingTable(IDS, VECTORS)
    assert EmbeddingTable(IDS[::-1], VECTORS[::-1]).fingerprint() == table.fingerprint()
    others = {
        EmbeddingTable(IDS, VECTORS + 1e-6).fingerprint(),
        EmbeddingTable(IDS, VECTORS[::-1]).fingerprint(),
        EmbeddingTable(["b", "a", "c"], VECTORS).fingerprint(),
        EmbeddingTable(IDS[:2], VECTORS[:2]).fingerprint(),
        table.fingerprint(),
    }
    assert len(others) == 5


def test_altered_table_is_refused(tmp_path: Path) -> None:
    EmbeddingTable(IDS, VECTORS).save(tmp_path / "e")
    path = tmp_path / "e" / "vectors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"vectors\.npy"):
        EmbeddingTable.load(tmp_path / "e")
    with pytest.raises(ArtifactError, match="there is no folder"):
        EmbeddingTable.load(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["txt", "txt with a mark and windows ends", "json", "npy"])
def test_own_files(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    ids_file = tmp_path / f"ids.{kind.split()[0]}"
    if kind == "txt":
        ids_file.write_text("b\na\nü c\n", encoding="utf-8")
    elif kind == "json":
        ids_file.write_text(json.dumps(IDS))
    elif kind == "npy":
        np.save(ids_file, np.array(IDS))
    else:
        ids_file.write_bytes("\ufeffb\r\na\r\nü c".encode())
    table = EmbeddingTable.from_files(tmp_path / "v.npy", ids_file)
    assert table.item_ids == IDS
    np.testing.assert_array_equal(table.vectors, VECTORS)
    assert isinstance(table.vectors, np.memmap)


def test_numbers_as_ids_become_text(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "ids.json").write_text("[7, 8, 9]")
    assert EmbeddingTable.from_files(tmp_path / "v.npy", tmp_path / "ids.json").item_ids == ["7", "8", "9"]


def test_own_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    np.save(tmp_path / "pickled.npy", VECTORS.astype(object), allow_pickle=True)
    np.savez(tmp_path / "many.npz", VECTORS)
    (tmp_path / "ids.txt").write_text("b\na\nc\n")
    (tmp_path / "bad.json").write_text("[")
    (tmp_path / "dict.json").write_text("{}")
    (tmp_path / "bad.txt").write_bytes(b"b\n\xff\nc\n")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "v.npy").read_bytes()[:-3])
    (tmp_path / "empty.npy").write_bytes(b"")
    for vectors in ("nowhere.npy", "pickled.npy", "many.npz", "cut.npy", "empty.npy", "ids.txt"):
        with pytest.raises(DataError, match=vectors):
            EmbeddingTable.from_files(tmp_path / vectors, tmp_path / "ids.txt")
    for ids in ("nowhere.txt", "bad.json", "dict.json", "bad.txt"):
        with pytest.raises(DataError, match=ids):
            EmbeddingTable.from_files(tmp_path / "v.npy", tmp_path / ids)
