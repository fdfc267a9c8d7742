"""IDs read from an index file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from genrec.data import canonical_order
from genrec.errors import DataError, GenRecError, SemanticIdError
from genrec.semantic_ids import END, SemanticIdSpec, diagnose, read_index

INDEX = {"x": ["<a_1>", "<b_20>"], "y": ["<a_2>", "<b_0>"], "ü": ["<a_3>", "<b_7>"]}


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_plain_index(tmp_path: Path) -> None:
    item_ids, codes, spec = read_index(write(tmp_path / "index.json", INDEX))
    assert item_ids == canonical_order(INDEX)
    assert codes.dtype == np.int32
    assert {item: tuple(row) for item, row in zip(item_ids, codes.tolist(), strict=True)} == {
        "x": (1, 20),
        "y": (2, 0),
        "ü": (3, 7),
    }
    assert spec.codebook_sizes == (4, 32)


def test_order_of_the_file_changes_nothing(tmp_path: Path) -> None:
    first = read_index(write(tmp_path / "a.json", INDEX))
    second = read_index(write(tmp_path / "b.json", dict(reversed(INDEX.items()))))
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])


def test_published_form_in_gzip(tmp_path: Path) -> None:
    path = tmp_path / "index.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"source": "somewhere", "sids": INDEX}).encode()))
    assert len(read_index(path)[0]) == 3


def test_an_item_may_be_called_sids(tmp_path: Path) -> None:
    assert read_index(write(tmp_path / "nested.json", {"sids": {"sids": ["<a_0>"]}}))[0] == ["sids"]
    assert read_index(write(tmp_path / "plain.json", {"sids": ["<a_0>"]}))[0] == ["sids"]


@pytest.mark.parametrize(("code", "size"), [(0, 1), (1, 2), (2, 4), (3, 4), (4, 8), (255, 256), (256, 512)])
def test_size_is_the_next_power_of_two(tmp_path: Path, code: int, size: int) -> None:
    assert read_index(write(tmp_path / "i.json", {"x": [f"<a_{code}>"]}))[2].codebook_sizes == (size,)


def test_sizes_that_are_given_count(tmp_path: Path) -> None:
    path = write(tmp_path / "i.json", INDEX)
    assert read_index(path, (256, 256))[2].codebook_sizes == (256, 256)
    with pytest.raises(SemanticIdError, match="do not fit"):
        read_index(path, (256, 20))
    with pytest.raises(SemanticIdError, match="do not fit"):
        read_index(path, (256, 256, 256))


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ({"x": ["<a_1>"], "y": ["<a_1>", "<c_1>"]}, SemanticIdError, "wrong position"),
        ({"x": ["<b_1>"]}, SemanticIdError, "wrong position"),
        ({"x": ["shampoo"]}, SemanticIdError, "no Semantic-ID token"),
        ({"x": [3]}, SemanticIdError, "no Semantic-ID token"),
        ({"x": ["<a_99999999999>"]}, SemanticIdError, "too large"),
        ({"x": []}, DataError, "'x' has no id or no ID"),
        ({"x": "<a_1>"}, DataError, "'x' has no id or no ID"),
        ({"": ["<a_1>"]}, DataError, "'' has no id or no ID"),
        ({}, DataError, "no index"),
        ([["<a_1>"]], DataError, "no index"),
        ('{"x": ["<a_1>"], "x": ["<a_2>"]}', DataError, "two IDs"),
        ('{"x": [', DataError, "no JSON"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: object, error: type[GenRecError], says: str) -> None:
    path = write(tmp_path / "i.json", content)
    with pytest.raises(error, match=says) as caught:
        read_index(path)
    assert "i.json" in str(caught.value)


def test_missing_bad_and_truncated_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_index(tmp_path / "nowhere.json")
    whole = gzip.compress(json.dumps(INDEX).encode())
    (tmp_path / "cut.json.gz").write_bytes(whole[:-10])
    (tmp_path / "bad.json").write_bytes(b'{"x": ["\xff"]}')
    for name in ("cut.json.gz", "bad.json"):
        with pytest.raises(DataError, match=name):
            read_index(tmp_path / name)


def test_published_ids_are_read_and_measured(shared_data: Path) -> None:
    folder = shared_data / "amazon_scientific" / "published_sids"
    item_ids, codes, spec = read_index(folder / "collisiongenrec_rqvae_native.json.gz")
    assert (len(item_ids), spec.length) == (4344, 4)
    # The data's README: 887 of 4,344 items share an ID.
    assert diagnose(codes, spec.codebook_sizes).shared_after == pytest.approx(887 / 4344)


def test_published_words_are_numbered_where_that_is_asked(
    shared_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = shared_data / "amazon_beauty" / "published_sids" / "idgenrec_textual.json.gz"
    with pytest.raises(GenRecError, match="idgenrec_textual") as caught:
        read_index(path)
    assert "words=True" in str(caught.value)
    with caplog.at_level("WARNING"):
        item_ids, codes, spec = read_index(path, words=True)
    assert "without a word are left out: 1" in caplog.text
    assert (len(item_ids), spec.length, spec.terminated) == (12_100, 11, True)  # one has no word at all
    assert len(np.unique(codes, axis=0)) == 12_100


def test_ids_of_unequal_length_end_in_minus_one(tmp_path: Path) -> None:
    index = {"x": ["<a_1>"], "y": ["<a_1>", "<b_3>"], "z": ["<a_0>", "<b_0>", "<c_0>"]}
    item_ids, codes, spec = read_index(write(tmp_path / "i.json", index))
    found = dict(zip(item_ids, codes.tolist(), strict=True))
    assert found == {"x": [1, END, END], "y": [1, 3, END], "z": [0, 0, 0]}
    assert spec == SemanticIdSpec((2, 4, 1), terminated=True)
    assert {item: list(spec.tokens(row)) for item, row in found.items()} == index
    assert spec.capacity == 2 + 2 * 4 + 2 * 4


def test_words_are_numbered_by_position(tmp_path: Path) -> None:
    index = {"x": ["red", "kettle"], "y": ["blue"], "z": ["red", "<a_1>"], "none": []}
    item_ids, codes, spec = read_index(write(tmp_path / "i.json", index), words=True)
    found = dict(zip(item_ids, codes.tolist(), strict=True))
    assert found == {"x": [1, 1], "y": [0, END], "z": [1, 0]}
    assert spec == SemanticIdSpec((2, 2), terminated=True)
    with pytest.raises(SemanticIdError, match="no word"):
        read_index(write(tmp_path / "i.json", {"x": ["red", 3]}), words=True)
    with pytest.raises(DataError, match="'x' has no id or no ID"):
        read_index(write(tmp_path / "i.json", {"x": []}), words=True)
    with pytest.raises(SemanticIdError, match="no Semantic-ID token"):
        read_index(write(tmp_path / "i.json", {"x": ["red"]}))
