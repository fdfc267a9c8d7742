"""Files in: all formats give the same table, and every fault is named with its place."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from genrec.data import InteractionLog, ItemTable
from genrec.errors import DataError

HEAD = b"item_id:token\ttitle:token"
GOOD = b'{"item_id": "a", "title": "A"}\n'
SECOND = GOOD + b'{"item_id": "b", "title": '


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file and gives its path."""

    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        data = content.encode("utf-8") if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def test_all_formats_give_the_same_items(file: Any, tmp_path: Path) -> None:
    csv = 'item_id,title,categories,price\n007,"A ""fine"" pen, red",Office|Pens,$1.50\nb,,[],\n'
    rows = [
        {"item_id": "007", "title": 'A "fine" pen, red', "categories": ["Office", "Pens"], "price": 1.5},
        {"item_id": "b", "title": "", "categories": [], "price": None},
    ]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "i.parquet")
    expected = ItemTable.from_rows(rows)
    recbole = "item_id:token\ttitle:token\tcategories:token_seq\tprice:float\n"
    recbole += '007\tA "fine" pen, red\tOffice Pens\t1.5\nb\t\t\t\n'
    paths = [
        file("i.csv", csv),
        file("i.csv.gz", csv),
        file("i.CSV", "\ufeff" + csv.replace("\n", "\r\n")),
        file("i.tsv", csv.replace(", red", "; red").replace(",", "\t").replace("; red", ", red")),
        file("i.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
        file("j.jsonl", "\ufeff\n" + "\r\n\n".join(json.dumps(row) for row in rows)),
        file("i.jsonl.gz", "".join(json.dumps(row) + "\n" for row in rows)),
        tmp_path / "i.parquet",
        file("i.parquet.gz", (tmp_path / "i.parquet").read_bytes()),
        file("i.item", recbole),
        file("i.item.gz", recbole),
    ]  # fmt: skip
    for path in paths:
        items = ItemTable.read(str(path))
        assert items.table.to_pylist() == expected.table.to_pylist(), path.name
        assert items.fingerprint() == expected.fingerprint(), path.name


def test_csv_tells_an_empty_text_from_a_missing_one_and_takes_NA_as_it_stands(file: Any) -> None:
    items = ItemTable.read(file("i.csv", 'item_id,title,own\nNA,null,""\nNaN,n/a,\n007,1.0,007\n'))
    assert items.item_ids == ["NA", "NaN", "007"]
    assert items.table.column("title").to_pylist() == ["null", "n/a", "1.0"]
    assert items.table.column("own").to_pylist() == ["", None, "007"]


def test_ids_in_json_are_kept_as_they_are_written(file: Any) -> None:
    for text, expected in {
        "7": "7",
        "1.10": "1.10",
        "1e3": "1e3",
        str(10**25): str(10**25),
        '"007"': "007",
    }.items():
        line = f'{{"user_id": {text}, "item_id": {text}, "timestamp": 3, "big": 0.5}}\n'
        log = InteractionLog.read(file("l.jsonl", line))
        assert (log.user_ids, log.item_ids) == ([expected], [expected])
        renamed = InteractionLog.read(file("l.jsonl", line.replace("user_id", "u")), columns={"user_id": "u"})
        assert renamed.user_ids == [expected]


def test_texts_that_look_like_dates_stay_texts(file: Any) -> None:
    line = '{"item_id": "2020-01-01", "title": "2020-01-01", "own": "2020-01-01", "list": ["2020-01-01"]}'
    row = ItemTable.read(file("i.jsonl", line)).row("2020-01-01")
    assert row == json.loads(line)


def test_whole_numbers_that_a_float_cannot_hold_are_not_rounded(file: Any) -> None:
    lines = [
        '{"item_id": "a", "title": "", "own": 9007199254740993}',
        '{"item_id": "b", "title": "", "own": 0.5}',
    ]
    with pytest.raises(DataError, match="line 2, column own: it does not fit"):
        ItemTable.read(file("i.jsonl", "\n".join(lines)))
    with pytest.raises(DataError, match="line 1, column own: it does not fit"):
        ItemTable.read(file("i.jsonl", lines[0].replace("9007199254740993", str(10**20))))


def test_columns_are_renamed(file: Any) -> None:
    path = file("i.csv", "asin,name,item_id\nx,X,1\n")
    items = ItemTable.read(path, columns={"item_id": "asin", "title": "name", "number": "item_id"})
    assert items.row("x") == {"item_id": "x", "title": "X", "number": "1"}
    twice = ItemTable.read(path, columns={"item_id": "item_id", "title": "item_id"})
    assert twice.row("1") == {"asin": "x", "name": "X", "item_id": "1", "title": "1"}
    with pytest.raises(DataError, match="two columns would be called item_id") as caught:
        ItemTable.read(path, columns={"item_id": "asin", "title": "name"})
    assert caught.value.received == "asin and item_id"
    with pytest.raises(DataError, match=r"no column nmae \(it was asked for as title\)") as caught:
        ItemTable.read(path, columns={"title": "nmae"})
    assert caught.value.received == "columns asin, name, item_id"
    assert 'columns={"nmae": "name"}' in str(caught.value.remedy) or "name" in str(caught.value.remedy)


def test_a_missing_column_is_told_with_those_found_and_the_nearest(file: Any) -> None:
    with pytest.raises(DataError, match=r"^l\.csv has no column item_id") as caught:
        InteractionLog.read(file("l.csv", "user_id,itemId,time\nu,a,1\n"))
    assert caught.value.received == "columns user_id, itemId, time"
    assert 'columns={"item_id": "itemId"}' in str(caught.value.remedy)
    with pytest.raises(DataError, match="no column timestamp"):
        InteractionLog.read(file("l.csv", "user_id,item_id\nu,a\n"), time="absolute")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("i.csv", b"", "i.csv is empty"),
        ("i.jsonl.gz", b"", "i.jsonl.gz is empty"),
        ("i.csv", b"item_id,title\n", "i.csv has no rows"),
        ("i.csv", b"item_id,title", "i.csv has no rows"),
        ("i.csv", b"\n\n", "i.csv holds blank lines only"),
        ("i.jsonl", b"\n \n", "i.jsonl has no rows"),
        ("i.csv", b"item_id,title\na,A\nb,\xff\n", "line 3: a byte that is not UTF-8, at byte 20"),
        ("i.jsonl", GOOD + b'{"item_id": "b\xe9"}\n', "line 2: a byte that is not UTF-8"),
        ("i.item", b"item_id:token\ttitle:token\na\t\xc3(\n", "line 2: a byte that is not UTF-8, at byte 28"),
        ("i.csv", b"item_id,title\na,A\n\nb,B,3\n", "line 4: 3 fields, where the header has 2"),
        ("i.csv", b'item_id,title\na,"A\nA"\nb\n', "line 4: 1 fields, where the header has 2"),
        ("i.csv", b'item_id,title\na,A\nb,"B\nc,C\n', "line 3: a field opens with a quote"),
        ("i.csv", b'item_id,title\na,"12" disk"\n', "line 2: a field opens with a quote"),
        ("i.csv", b'item_id,title\na,"A\nb,"B\n', "line 2: a field opens with a quote"),
        ("i.csv", b"item_id,title,title\na,A,B\n", "two columns of the same name"),
        ("i.csv", b'item_id,title\na,"A\nA"\n\nb,B\na,C\n', "line 6, column item_id: .* line 2 already"),
        ("i.csv", b"item_id,title\na,A\n,B\n", "line 3, column item_id: the id is missing"),
        ("i.csv", b'item_id,title\na,A\n"",B\n', "line 3, column item_id: the id is missing"),
        ("i.csv", b"item_id,title,price\na,A,1\nb,B,cheap\n", "line 3, column price: not a price"),
        ("i.jsonl", GOOD + b'\n{"item_id": "b"\n', r"line 3: not valid JSON \(Expecting ',' delimiter"),
        ("i.jsonl", GOOD + b"[1]\n", "line 2: a JSON list, not an object"),
        ("i.jsonl", GOOD + b'{"item_id": "b"}{"item_id": "c"}\n', "line 2: not valid JSON"),
        ("i.jsonl", GOOD + b'{"item_id": 1%s}' % (b"0" * 5000), "line 2: not valid JSON"),
        ("i.jsonl", GOOD + b'{"item_id": %s' % (b"[" * 100_000), "line 2: not valid JSON"),
        ("i.jsonl", GOOD + b"\n" + GOOD, "line 3, column item_id: .* line 1 already"),
        ("i.jsonl", GOOD + b'{"title": "B"}\n', "line 2, column item_id: the id is missing"),
        ("i.jsonl", GOOD + b'{"item_id": null, "title": "B"}\n', "line 2, column item_id: the id is missing"),
        ("i.jsonl", GOOD + b'{"item_id": {"x": 1}}\n', "line 2, column item_id: not a text but an object"),
        ("i.jsonl", GOOD + b'{"item_id": true}\n', "line 2, column item_id: not a text but a truth value"),
        ("i.jsonl", SECOND + b'["B"]}\n', "line 2, column title: not a text but a list"),
        ("i.jsonl", GOOD + b'{"item_id": "\\ud800", "title": "B"}\n', "line 2, column item_id: half"),
        ("i.jsonl", SECOND + b'"", "price": true}\n', "line 2, column price: not a price"),
        ("i.item", b"item_id\ttitle\na\tA\n", "line 1: a column without its type"),
        ("i.item", b"item_id:token\ttitle:text\na\tA\n", "line 1: a column without its type"),
        ("i.item", b"item_id:token\ttitle:token\na\tA\tB\n", "line 2: 3 fields, where the header has 2"),
        ("i.item", HEAD + b"\tx:float\na\tA\t1\nb\tB\ty\n", "line 3, column x: not a number"),
        ("i.item", HEAD + b"\tx:float_seq\na\tA\t1 2\nb\tB\t1 y\n", "line 3, column x: not numbers"),
        ("i.item", b"item_id:token\titem_id:float\ttitle:token\na\t1\tA\n", "two columns of the same name"),
        ("i.parquet", b"PAR1 nonsense", "i.parquet is not a sound parquet file"),
        ("i.xlsx", b"x", "i.xlsx: cannot tell the format"),
    ],
)  # fmt: skip
def test_faults_are_named_with_file_line_and_column(
    file: Any, name: str, content: bytes, message: str
) -> None:
    message = f"^{re.escape(name)}, {message}" if message.startswith("line") else message
    with pytest.raises(DataError, match=message) as caught:
        ItemTable.read(file(name, content))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("u,c,3,1", "line 4, column item_id: the item table has no such item .1 of 4 "),
        ("u,a,soon,1", "line 4, column timestamp: not a number like the first row's"),
        ("u,a,,1", "line 4, column timestamp: the time is missing"),
        ("u,a,3,good", "line 4, column rating: not a rating"),
        ("u,a,3,nan", "line 4, column rating: not a rating"),
        (",a,3,1", "line 4, column user_id: the id is missing"),
        ('u,"",3,1', "line 4, column item_id: the id is missing"),
        ("u,a,3", "line 4: 3 fields, where the header has 4"),
    ],
)
def test_faults_in_a_log(file: Any, row: str, message: str) -> None:
    items = ItemTable.from_rows([{"item_id": "a", "title": ""}, {"item_id": "b", "title": ""}])
    text = f"user_id,item_id,timestamp,rating\nu,a,1,1\nv,b,2,\n{row}\nw,b,4,5\n"
    for name in ("l.csv", "l.csv.gz"):
        with pytest.raises(DataError, match=f"^{name}, {message}"):
            InteractionLog.read(file(name, text), items=items)
    with pytest.raises(DataError, match=f"^l.tsv, {message}"):
        InteractionLog.read(file("l.tsv", text.replace(",", "\t")), items=items)


def test_the_first_fault_of_a_long_file_is_found(file: Any) -> None:
    lines = [f"u{n % 97},i{n},{n}" for n in range(30_000)]
    lines[12_345] = "u,i,then"
    lines[22_222] = "u,i,never"
    with pytest.raises(DataError, match="line 12347, column timestamp") as caught:
        InteractionLog.read(file("l.csv", "user_id,item_id,timestamp\n" + "\n".join(lines)))
    assert caught.value.received == "'then'"


def test_a_row_must_fit_in_a_block(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrec.data.csv_format.BLOCK", 100)
    assert (
        len(ItemTable.read(file("i.csv", "item_id,title\n" + "".join(f"{n},T{n}\n" for n in range(99)))))
        == 99
    )
    with pytest.raises(DataError, match=r"i\.csv cannot be read") as caught:
        ItemTable.read(file("i.csv", f"item_id,title\na,{'x' * 1000}\nb,B\n"))
    assert caught.value.remedy == "check the file; a row must be smaller than 100 bytes"


def test_columns_that_come_late_or_are_always_null(file: Any) -> None:
    lines = [
        '{"item_id": "a", "title": null}',
        '{"item_id": "b", "title": null, "own": 1}',
        '{"item_id": "c", "own": 2}',
    ]
    for text in ("\n".join(lines), "\n\n".join(lines)):
        items = ItemTable.read(file("i.jsonl", text))
        assert items.table.column("own").to_pylist() == [None, 1, 2]
        assert items.table.column("title").to_pylist() == ["", "", ""]


def test_a_long_value_is_shown_short(file: Any) -> None:
    with pytest.raises(DataError, match="line 2, column price") as caught:
        ItemTable.read(file("i.csv", f"item_id,title,price\na,A,{'x' * 10_000}\n"))
    assert len(str(caught.value.received)) < 200


def test_broken_gzip_streams_are_told(file: Any, tmp_path: Path) -> None:
    packed = gzip.compress(b"item_id,title\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(1000)))
    (tmp_path / "i.csv.gz").write_bytes(packed[:-100])
    with pytest.raises(DataError, match=r"i\.csv\.gz is cut off"):
        ItemTable.read(tmp_path / "i.csv.gz")
    (tmp_path / "i.csv.gz").write_bytes(packed[:200] + b"\0\0\0\0" + packed[204:])
    with pytest.raises(DataError, match=r"i\.csv\.gz is not a sound gzip file"):
        ItemTable.read(tmp_path / "i.csv.gz")
    (tmp_path / "i.csv.gz").write_bytes(b"item_id,title\na,A\n")
    with pytest.raises(DataError, match=r"i\.csv\.gz is not a sound gzip file"):
        ItemTable.read(tmp_path / "i.csv.gz")


def test_sources_that_are_not_there(tmp_path: Path, file: Any) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        ItemTable.read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot tell the format"):
        ItemTable.read(tmp_path / "none")
    with pytest.raises(DataError, match="a file has no splits"):
        ItemTable.read(file("i.csv", "item_id,title\na,A\n"), split="train")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv cannot be loaded with datasets"):
        ItemTable.read(tmp_path / "folder.csv")
