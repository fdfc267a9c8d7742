"""Files of users: every format gives the same users, whatever is wrong is told with its place."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.errors import DataError, GenRecError
from genrec.recommender.user_file import UserFile

USERS: list[tuple[str, list[str]]] = [("u1", ["a", "b"]), ("7", []), ("ü, 3", ["c", 'd "x"', "a"])]


def written(folder: Path, name: str, users: list[tuple[str, Any]] = USERS) -> Path:
    path = folder / name
    rows = [{"user_id": user, "more": 1.5, "history": history} for user, history in users]
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if ".jsonl" in name:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        import csv
        import io

        stream = io.StringIO(newline="")
        writer = csv.writer(stream, delimiter="\t" if ".tsv" in name else ",")
        writer.writerow(["user_id", "more", "history"])
        writer.writerows([user, 1.5, json.dumps(history)] for user, history in users)
        text = stream.getvalue()
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["u.jsonl", "u.jsonl.gz", "u.csv", "u.csv.gz", "u.tsv", "u.parquet"])
def test_every_format_gives_the_same_users(tmp_path: Path, name: str) -> None:
    users = list(UserFile(written(tmp_path, name)))
    assert [(user.user_id, user.history) for user in users] == USERS
    assert [len(part) for part in UserFile(tmp_path / name).parts(2)] == [2, 1]


def test_ids_may_be_numbers_and_histories_texts_with_bars(tmp_path: Path) -> None:
    (tmp_path / "u.jsonl").write_text(
        '{"user_id": 5, "history": [1, "b"]}\n\n{"user_id": "x", "history": null}\n'
    )
    assert [(u.place, u.user_id, u.history) for u in UserFile(tmp_path / "u.jsonl")] == [
        (1, "5", ["1", "b"]),
        (3, "x", []),
    ]
    (tmp_path / "u.csv").write_text("user_id,history\nu,a | b|c\nv,\n")
    assert [u.history for u in UserFile(tmp_path / "u.csv")] == [["a", "b", "c"], []]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("u.jsonl", '{"user_id": "a", "history": []}\n{"user_id": "b", ', "line 2 is not valid JSON"),
        ("u.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("u.jsonl", '{"user_id": "a"}\n', "line 1 lacks history"),
        ("u.jsonl", '{"user_id": "", "history": []}\n', "line 1: the user_id is no text"),
        ("u.jsonl", '{"user_id": true, "history": []}\n', "line 1: the user_id is no text"),
        ("u.jsonl", '{"user_id": "a", "history": {"x": 1}}\n', "line 1: the history is no list"),
        ("u.jsonl", '{"user_id": "a", "history": ["x", null]}\n', "line 1: the history holds"),
        ("u.jsonl", '{"user_id": "a", "history": [1.5]}\n', "line 1: the history holds"),
        ("u.csv", "user_id,item_id,timestamp\na,b,1\n", "InteractionLog"),
        ("u.csv", "user_id,history\na,b,c\n", "line 2 has another number of fields"),
        ("u.csv", 'user_id,history\na,"[1"\n', "line 2: the history is no JSON list"),
        ("u.csv", "", "lacks user_id and history"),
        ("u.jsonl", b"\xff\xfe{}", "is not UTF-8"),
        ("u.jsonl.gz", b"no gzip at all", "cannot be read"),
        ("u.parquet", b"PAR1 no parquet PAR1", "cannot be read"),
        ("u.xlsx", "", "does not say its format"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, expected: str
) -> None:
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=expected):
        list(UserFile(tmp_path / name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file of users"):
        UserFile(tmp_path / "nobody.jsonl")


@pytest.mark.parametrize("name", ["u.jsonl.gz", "u.csv", "u.parquet"])
@given(place=st.integers(0, 1 << 20), value=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_file_is_read_as_what_it_says_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: int, value: int, cut: bool
) -> None:
    path = written(tmp_path_factory.mktemp("users"), name)
    data = bytearray(path.read_bytes())
    place %= len(data)
    path.write_bytes(data[:place] if cut else data[:place] + bytes([data[place] ^ value]) + data[place + 1 :])
    with contextlib.suppress(GenRecError):
        list(UserFile(path))
