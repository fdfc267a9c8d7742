"""`ItemTable`: checks of values, access, and the fingerprint."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from genrec.data import ItemTable, canonical_order
from genrec.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"item_id": "b", "title": "Blue soap", "brand": "Sud", "categories": ["Bath", "Soap"], "price": 3.5},
    {"item_id": "a", "title": "", "brand": None, "categories": None, "price": None},
    {"item_id": "ü", "title": "Brush", "brand": "Borst", "categories": [], "price": 12},
]

A = {"item_id": "a", "title": ""}


@pytest.fixture
def items() -> ItemTable:
    return ItemTable.from_rows(ROWS)


def test_rows_keep_their_order_and_missing_values_have_one_form(items: ItemTable) -> None:
    assert items.item_ids == ["b", "a", "ü"]
    assert len(items) == 3
    assert items.columns == ("item_id", "title", "brand", "categories", "price")
    assert items.row("a") == {"item_id": "a", "title": "", "brand": "", "categories": [], "price": None}
    assert items.row("b") == ROWS[0]
    assert items.row("ü")["price"] == 12.0
    assert items.title("b") == "Blue soap"
    assert items.title("a") == ""
    assert "ü" in items
    assert "c" not in items
    assert 3 not in items


def test_canonical_order_is_by_sha256_and_forgets_row_order_and_repeats() -> None:
    ids = [f"item{n}" for n in range(50)] + ["item3"]
    ordered = canonical_order(ids)
    assert ordered == canonical_order(reversed(ids))
    digests = [hashlib.sha256(item.encode()).hexdigest() for item in ordered]
    assert digests == sorted(digests)
    assert len(ordered) == 50
    assert ItemTable.from_rows({"item_id": i, "title": ""} for i in ids[:50]).canonical_ids == ordered


def test_texts_join_what_is_there(items: ItemTable) -> None:
    fields = ("title", "brand", "categories", "description", "price")
    assert items.texts(fields) == ["Blue soap. Sud. Bath, Soap. 3.5", "", "Brush. Borst. 12.0"]
    assert items.texts(("brand", "title"), ["ü", "b", "ü"]) == [
        "Borst. Brush",
        "Sud. Blue soap",
        "Borst. Brush",
    ]
    assert items.texts(("description",)) == ["", "", ""]


def test_subset_takes_rows_in_the_order_asked_for(items: ItemTable) -> None:
    part = items.subset(["ü", "b"])
    assert part.item_ids == ["ü", "b"]
    assert part.row("b") == items.row("b")
    with pytest.raises(DataError, match="no such item"):
        items.subset(["b", "nope"])
    with pytest.raises(DataError, match="stands in row 1 already"):
        items.subset(["b", "b"])


def test_access_to_an_unknown_item_names_it(items: ItemTable) -> None:
    for call in (lambda: items.row("x"), lambda: items.title("x"), lambda: items.texts(("title",), ["x"])):
        with pytest.raises(DataError) as caught:
            call()
        assert caught.value.received == "'x'"
        assert caught.value.remedy


def test_fingerprint_forgets_order_and_sees_every_value() -> None:
    rows = [{**row, "own": {"size": n}} for n, row in enumerate(ROWS)]
    expected = ItemTable.from_rows(rows).fingerprint()
    shuffled = [dict(reversed(row.items())) for row in random.Random(1).sample(rows, k=3)]
    assert ItemTable.from_rows(shuffled).fingerprint() == expected
    table = ItemTable.from_rows(rows).table
    rechunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert ItemTable(rechunked).fingerprint() == expected
    for name, value in {
        "item_id": "c", "title": "x", "brand": "x", "categories": ["Bath"], "price": 4.0, "own": {"size": 9}
    }.items():  # fmt: skip
        assert ItemTable.from_rows([{**rows[0], name: value}, *rows[1:]]).fingerprint() != expected, name
    renamed = [{("mine" if name == "own" else name): value for name, value in row.items()} for row in rows]
    assert ItemTable.from_rows(renamed).fingerprint() != expected


def test_own_columns_are_kept_whatever_their_type() -> None:
    own = {
        "stars": 4,
        "share": 0.5,
        "tags": ["x", "y"],
        "sizes": {"w": 1, "h": 2},
        "mixed": [1, 2.5],
        "code": "007",
    }
    items = ItemTable.from_rows([{"item_id": "a", "title": "A", **own}])
    assert {name: items.row("a")[name] for name in own} == own
    numbers = ItemTable.from_rows(
        [{"item_id": "a", "title": "", "n": 1}, {"item_id": "b", "title": "", "n": 2.5}]
    )
    assert numbers.table.column("n").to_pylist() == [1.0, 2.5]


def test_ids_and_texts_given_as_numbers_become_text() -> None:
    items = ItemTable.from_rows([{"item_id": 7, "title": 300}, {"item_id": np.int64(8), "title": "x"}])
    assert items.item_ids == ["7", "8"]
    assert items.title("7") == "300"
    mixed = ItemTable.from_rows(
        [{"item_id": 7, "title": ""}, {"item_id": "x", "title": ""}, {"item_id": 1.5, "title": ""}]
    )
    assert mixed.item_ids == ["7", "x", "1.5"]
    coded = pa.table({"item_id": pa.array(["p", "q"]).dictionary_encode(), "title": ["", ""]})
    assert ItemTable(coded).item_ids == ["p", "q"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "rows has no rows"),
        ([{}], "rows has no rows"),
        (["a"], "row 1: not a mapping"),
        ([{1: "a"}], "row 1: not a mapping"),
        ([{"item_id": "a"}], "no column title"),
        ([{"title": "a"}], "no column item_id"),
        ([{"item_id": "a", "title": "A"}, {"title": "B"}], "row 2, column item_id: the id is missing"),
        ([{"item_id": "", "title": "A"}], "row 1, column item_id: the id is missing"),
        ([{"item_id": True, "title": "A"}], "row 1, column item_id: not a text but a truth value"),
        ([{"item_id": ["a"], "title": "A"}], "row 1, column item_id: not a text but a list"),
        ([{"item_id": "a", "title": {"en": "A"}}], "row 1, column title: not a text but an object"),
        ([A, A], "row 2, .* stands in row 1 already"),
        ([{"item_id": "a", "title": "\ud800"}], "row 1, column title: half a surrogate pair"),
        ([{**A, "categories": [["x"]]}], "row 1, column categories: not a list of texts"),
        ([{**A, "categories": [None]}], "row 1, column categories: not a list of texts"),
        ([{**A, "categories": 3}], "row 1, column categories: .* a number"),
        ([{**A, "categories": "['x']"}], "row 1, column categories: starts with \\["),
        ([{**A, "categories": ["\udc00"]}], "row 1, column categories: half a surrogate"),
        ([{**A, "own": 1}, {"item_id": "b", "title": "", "own": "x"}], "row 2, column own"),
        ([{**A, "own": 10**30}], "row 1, column own"),
        ([{**A, "own": object()}], "row 1, column own"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_row_and_column(rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        ItemTable.from_rows(rows)
    assert caught.value.received is not None
    assert caught.value.remedy


def test_categories_may_be_written_in_one_text() -> None:
    texts = ["Bath|Soap", "Bath | Soap |", '["Bath", "Hand | Soap"]', "Bath", "", None]
    items = ItemTable.from_rows(
        {"item_id": str(n), "title": "", "categories": t} for n, t in enumerate(texts)
    )
    expected = [["Bath", "Soap"], ["Bath", "Soap"], ["Bath", "Hand | Soap"], ["Bath"], [], []]
    assert items.table.column("categories").to_pylist() == expected
