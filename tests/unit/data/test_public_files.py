"""Copies of public data: what is unpickled, and that nothing but known bytes is written."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from genrec.data.public_files import plain_mapping, write_known
from genrec.errors import DataError


def saved(value: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(value, dtype=object))
    return file.getvalue()


@pytest.mark.parametrize("value", [{"a": {"1": ["x", 2]}}, defaultdict(list, {"a": [["b"]]})])
def test_a_plain_dictionary_is_read(value: dict[str, object]) -> None:
    assert plain_mapping(saved(value)) == value


def test_an_older_numpy_wrote_an_older_pickle() -> None:
    value = {"id2title": {"1": "x"}}
    array, header = np.array(value, dtype=object), saved(value)
    start = header.index(b"\n") + 1
    assert plain_mapping(header[:start] + pickle.dumps(array, protocol=2)) == value


class Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.putenv, ("GENREC_ATTACK",)


@pytest.mark.parametrize(
    "content",
    [saved({"a": Attack()}), saved([1]), saved({})[:-3], b"", pickle.dumps({"a": 1}), b"\x93NUMPY\x01\x00"],
    ids=["code", "not a dictionary", "cut off", "empty", "a bare pickle", "no header"],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="not a dictionary of plain values"):
        plain_mapping(content)


def test_one_changed_file_keeps_all_from_being_written(tmp_path: Path) -> None:
    files = {"a.csv": b"1\n", "b.csv": b"2\n"}
    known = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    with pytest.raises(DataError, match=r"changed: b\.csv"):
        write_known(tmp_path / "out", {**files, "b.csv": b"3\n"}, known)
    assert not (tmp_path / "out").exists()
    assert [path.name for path in write_known(tmp_path / "out", files, known)] == ["a.csv.gz", "b.csv.gz"]
