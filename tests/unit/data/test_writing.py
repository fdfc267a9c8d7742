"""Files out: what is written reads back the same, in every format, and stands there whole or not at all."""

from __future__ import annotations

import datetime
import decimal
import gzip
import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genrec.data import InteractionLog, ItemTable
from genrec.errors import DataError

FORMATS = ("jsonl", "csv", "tsv", "parquet")
FEW = settings(max_examples=30)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
an_id = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n"), max_size=12)
plain_id = plain.filter(bool)
name = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5).filter(
    lambda n: n not in KNOWN
)
KNOWN = {
    "item_id",
    "title",
    "brand",
    "description",
    "image",
    "categories",
    "price",
    "user_id",
    "timestamp",
    "rating",
    "event",
}
number = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def item_tables(draw: st.DrawFn, ids: Any = an_id, words: Any = text, names: Any = name) -> ItemTable:
    columns = draw(st.lists(names, max_size=2, unique=True))
    optional = {
        "brand": words,
        "description": words,
        "categories": st.lists(words, max_size=3),
        "price": st.none() | st.floats(0, 1e12) | st.just(5e-324),
    }
    there = draw(st.lists(st.sampled_from(sorted(optional)), unique=True))
    row = (
        {"item_id": ids, "title": words}
        | {own: words for own in columns}
        | {key: optional[key] for key in there}
    )
    rows = draw(
        st.lists(st.fixed_dictionaries(row), min_size=1, max_size=5, unique_by=lambda row: row["item_id"])
    )
    return ItemTable.from_rows(rows)


def written_and_read(data: Any, suffix: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{suffix}"
        data.write(path)
        assert os.listdir(folder) == [path.name]
        return type(data).read(path)


@pytest.mark.parametrize("suffix", FORMATS)
@FEW
@given(items=item_tables())
def test_items_read_back_the_same(suffix: str, items: ItemTable) -> None:
    again = written_and_read(items, suffix)
    assert again.table.to_pylist() == items.table.to_pylist()
    assert again.table.schema == items.table.schema
    assert again.fingerprint() == items.fingerprint()


@FEW
@given(item_tables(plain_id, plain, plain.filter(bool)))
@example(ItemTable.from_rows([{"item_id": '"a', "title": '"b" \\', "categories": ["x y", "z"]}]))
def test_items_read_back_the_same_from_recbole_or_are_refused(items: ItemTable) -> None:
    if any(column not in KNOWN and ":" in column for column in items.columns):
        return
    try:
        again = written_and_read(items, "item")
    except DataError as error:
        assert "could not be told apart" in error.problem  # noqa: PT017
        return
    assert again.table.to_pylist() == items.table.to_pylist()
    assert again.fingerprint() == items.fingerprint()


@st.composite
def logs(draw: st.DrawFn, ids: Any = an_id, words: Any = text) -> InteractionLog:
    optional = {
        "timestamp": st.integers(-(2**63), 2**63 - 1),
        "rating": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
        "event": words,
        "own": words,
    }
    there = draw(st.lists(st.sampled_from(sorted(optional)), unique=True))
    row = {"user_id": ids, "item_id": ids} | {key: optional[key] for key in there}
    rows = draw(st.lists(st.fixed_dictionaries(row), min_size=1, max_size=8))
    return InteractionLog.from_rows(rows)


def same_log(again: InteractionLog, log: InteractionLog) -> None:
    assert again.table.to_pylist() == log.table.to_pylist()
    assert again.table.schema == log.table.schema
    assert again.user_ids == log.user_ids
    assert again.time_kind == log.time_kind
    assert again.fingerprint() == log.fingerprint()


@pytest.mark.parametrize("suffix", FORMATS)
@FEW
@given(log=logs())
def test_logs_read_back_the_same(suffix: str, log: InteractionLog) -> None:
    same_log(written_and_read(log, suffix), log)


@FEW
@given(logs(plain_id, plain))
def test_logs_read_back_the_same_from_recbole(log: InteractionLog) -> None:
    same_log(written_and_read(log, "inter"), log)


@pytest.mark.parametrize("suffix", [*FORMATS, "inter"])
def test_packed_files_read_back_the_same(suffix: str) -> None:
    log = InteractionLog.from_rows([{"user_id": "ü", "item_id": '"', "timestamp": 5, "event": ""}] * 3)
    same_log(written_and_read(log, f"{suffix}.gz"), log)


def test_own_columns_of_every_type_survive_where_the_format_has_the_type() -> None:
    own = {
        "n": 2**53 + 1,
        "x": 0.1,
        "flag": True,
        "none": None,
        "tags": ["a", "b"],
        "deep": {"w": [1.5, None]},
    }
    items = ItemTable.from_rows([{"item_id": "a", "title": "A", **own}, {"item_id": "b", "title": "B"}])
    for suffix in ("jsonl", "parquet"):
        again = written_and_read(items, suffix)
        assert again.table.to_pylist() == items.table.to_pylist()
        assert again.fingerprint() == items.fingerprint()
    as_text = written_and_read(items, "csv").row("a")
    assert [as_text[key] for key in own] == [
        "9007199254740993", "0.1", "true", None, '["a", "b"]', '{"w": [1.5, null]}'
    ]  # fmt: skip


def test_null_and_empty_text_of_an_own_column_stay_apart() -> None:
    items = ItemTable.from_rows(
        {"item_id": str(n), "title": "", "own": own} for n, own in enumerate(["", None, " "])
    )
    for suffix in ("jsonl", "csv", "tsv", "parquet"):
        assert written_and_read(items, suffix).table.column("own").to_pylist() == ["", None, " "]


def test_files_are_plain_to_look_at(tmp_path: Path) -> None:
    rows = [
        {
            "item_id": "007",
            "title": 'A "fine" pen',
            "categories": ["Office, all", "Pens"],
            "price": 1.5,
            "own": "",
        },
        {"item_id": "b", "title": "Ü", "categories": [], "price": None, "own": None},
    ]
    items = ItemTable.from_rows(rows)
    items.write(tmp_path / "i.csv")
    assert (tmp_path / "i.csv").read_text(encoding="utf-8") == (
        "item_id,title,categories,price,own\n"
        '007,"A ""fine"" pen","[""Office, all"", ""Pens""]",1.5,""\nb,Ü,[],,\n'
    )
    items.write(tmp_path / "i.item")
    assert (tmp_path / "i.item").read_text(encoding="utf-8") == (
        "item_id:token\ttitle:token\tcategories:token_seq\tprice:float\town:token\n"
        '007\tA "fine" pen\tOffice, all|Pens\t1.5\t\nb\tÜ\t\t\t\n'
    )
    log = InteractionLog.from_rows([{"user_id": "u", "item_id": "b", "timestamp": 5, "rating": 4.3}])
    log.write(tmp_path / "l.inter")
    assert (tmp_path / "l.inter").read_text() == (
        "user_id:token\titem_id:token\ttimestamp:float\trating:float\nu\tb\t5\t4.3\n"
    )
    log.write(tmp_path / "l.jsonl")
    assert (
        tmp_path / "l.jsonl"
    ).read_text() == '{"user_id": "u", "item_id": "b", "timestamp": 5, "rating": 4.3}\n'


def test_recbole_lists_are_joined_by_a_space_where_that_is_enough(tmp_path: Path) -> None:
    own = {"tags": ["new"], "weights": [0.5, 2.0]}
    items = ItemTable.from_rows([{"item_id": "a", "title": "A", "categories": ["Bath", "Soap"], **own}])
    items.write(tmp_path / "i.item")
    assert (tmp_path / "i.item").read_text().splitlines()[1] == "a\tA\tBath Soap\tnew\t0.5 2.0"
    assert ItemTable.read(tmp_path / "i.item").row("a") == items.row("a")


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    items = ItemTable.from_rows([{"item_id": "a", "title": "A"}])
    for suffix in ("jsonl", "jsonl.gz", "csv", "csv.gz", "parquet", "item.gz"):
        items.write(tmp_path / f"one.{suffix}")
        items.write(tmp_path / f"folder/two.{suffix}")
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"folder/two.{suffix}").read_bytes()
    assert (tmp_path / "one.csv.gz").read_bytes()[4:8] == bytes(4)  # no time stamp
    assert gzip.decompress((tmp_path / "one.csv.gz").read_bytes()) == b"item_id,title\na,A\n"


def test_what_a_format_cannot_hold_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    def refuse(suffix: str, message: str, **own: Any) -> None:
        path = tmp_path / f"i.{suffix}"
        path.write_bytes(b"old")
        with pytest.raises(DataError, match=message):
            ItemTable.from_rows([{"item_id": "b", "title": "B", **own}]).write(path)
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == [path.name]
        path.unlink()

    refuse("item", "row 1, column brand:token holds a tab or a newline", brand="a\tb")
    refuse("item", "row 1, column own:token_seq holds a tab or a newline", own=["a\nb"])
    refuse("item", "lists of column categories could not be told apart", categories=["a b"])
    refuse("item", "lists of column categories could not be told apart", categories=[""])
    refuse("item", "lists of column own could not be told apart", own=["a", None])
    refuse("item", "lists of column own could not be told apart", own=[1, None])
    refuse("item", "RecBole has no type for column own", own={"w": 1})
    refuse("item", "RecBole has no type for column own", own=True)
    refuse("jsonl", "JSON has no form", own=b"bytes")
    refuse("csv", "column own holds bytes", own=b"bytes")
    refuse("csv", "JSON has no form", own=[b"bytes"])
    refuse("txt", "the name does not say which format")


def test_dates_and_decimals_become_texts_in_json_and_csv() -> None:
    own = {"day": datetime.date(2020, 1, 2), "sum": decimal.Decimal("1.10")}
    items = ItemTable.from_rows([{"item_id": "a", "title": "A", **own}])
    assert written_and_read(items, "parquet").row("a") == items.row("a")
    for suffix in ("jsonl", "csv"):
        assert written_and_read(items, suffix).row("a") | own == items.row("a") | own
        assert written_and_read(items, suffix).row("a")["day"] == "2020-01-02"
        assert written_and_read(items, suffix).row("a")["sum"] == "1.10"


def test_a_log_of_several_batches_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrec.data.writers.ROWS", 7)
    rows = [{"user_id": f"u{n // 3}", "item_id": f"i{n % 5}", "timestamp": n} for n in range(40)]
    log = InteractionLog.from_rows(rows)
    for suffix in ("csv", "jsonl", "inter", "parquet"):
        same_log(written_and_read(log, suffix), log)


def test_own_parquet_types_are_read(tmp_path: Path) -> None:
    table = pa.table({
        "item_id": pa.array([1, 2], pa.int32()),
        "title": pa.array(["A", None]).dictionary_encode(),
        "price": pa.array([decimal.Decimal("1.50"), None]),
        "categories": pa.array([["x"], None], pa.large_list(pa.string())),
        "own": pa.array(["p", "p"]).dictionary_encode(),
    })  # fmt: skip
    pa.parquet.write_table(table, tmp_path / "i.parquet")
    assert ItemTable.read(tmp_path / "i.parquet").table.to_pylist() == [
        {"item_id": "1", "title": "A", "price": 1.5, "categories": ["x"], "own": "p"},
        {"item_id": "2", "title": "", "price": None, "categories": [], "own": "p"},
    ]
