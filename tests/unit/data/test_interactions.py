"""`InteractionLog`: order, encoding, kinds of time, and the fingerprint."""

from __future__ import annotations

import logging
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.data import InteractionLog, ItemTable, canonical_order
from genrec.errors import DataError

Row = tuple[str, str, int]


def log_of(rows: list[Row], **options: Any) -> InteractionLog:
    return InteractionLog.from_rows(
        [{"user_id": user, "item_id": item, "timestamp": stamp} for user, item, stamp in rows], **options
    )


stamps = st.integers(-3, 9) | st.sampled_from([-(2**63), 2**63 - 1])
rows_of_a_log = st.lists(
    st.tuples(st.sampled_from("uvwxy"), st.sampled_from("abcdefgh"), stamps),
    min_size=1,
    max_size=40,
)


@given(rows_of_a_log)
def test_users_by_first_row_and_their_items_by_time_then_row(rows: list[Row]) -> None:
    log = log_of(rows)
    users = list(dict.fromkeys(user for user, _, _ in rows))
    assert log.user_ids == users
    assert log.item_ids == canonical_order(item for _, item, _ in rows)
    for user in users:
        expected = sorted((row for row in rows if row[0] == user), key=lambda row: row[2])
        assert log.history(user) == [item for _, item, _ in expected]
    histories = log.histories()
    assert (histories.items.dtype, histories.offsets.dtype) == (np.int32, np.int64)
    assert histories.offsets[-1] == len(log) == len(rows)
    names = [histories.item_ids[item] for item in histories.items]
    spans = [names[start:end] for start, end in zip(histories.offsets, histories.offsets[1:], strict=False)]
    assert spans == [log.history(user) for user in users]
    assert log.times is not None
    assert sorted(log.times.tolist()) == sorted(stamp for _, _, stamp in rows)


def test_other_columns_move_with_their_rows_and_are_compact() -> None:
    rows = [
        {"user_id": "u", "item_id": "a", "timestamp": 2, "rating": "4.5", "event": "buy", "own": [2]},
        {"user_id": "v", "item_id": "b", "timestamp": 1, "rating": None, "event": "view", "own": [1]},
        {"user_id": "u", "item_id": "c", "timestamp": 1, "rating": 3, "event": None, "own": None},
    ]
    log = InteractionLog.from_rows(rows)
    assert log.table.to_pylist() == [
        {"user_id": "u", "item_id": "c", "timestamp": 1, "rating": 3.0, "event": "", "own": None},
        {"user_id": "u", "item_id": "a", "timestamp": 2, "rating": 4.5, "event": "buy", "own": [2]},
        {"user_id": "v", "item_id": "b", "timestamp": 1, "rating": None, "event": "view", "own": [1]},
    ]
    kinds = dict(zip(log.table.column_names, log.table.schema.types, strict=True))
    coded = pa.dictionary(pa.int32(), pa.string())
    assert kinds["user_id"] == kinds["item_id"] == kinds["event"] == coded
    assert (kinds["timestamp"], kinds["rating"]) == (pa.int64(), pa.float32())


@pytest.mark.parametrize(
    ("stamps", "kind"),
    [
        ({"u": [0, 1, 2], "v": [0]}, "order"),
        ({"u": [1, 2, 3], "v": [0, 1]}, "order"),
        ({"u": [2, 0, 1]}, "order"),
        ({"u": [0, 1, 2], "v": [2]}, "absolute"),
        ({"u": [0, 1, 3]}, "absolute"),
        ({"u": [0, 0, 1]}, "absolute"),
        ({"u": [-1, 0]}, "absolute"),
        ({"u": [1_400_000_000]}, "absolute"),
        ({"u": ["0", "1.0"]}, "order"),
        ({"u": [0, 1.5]}, "absolute"),
    ],
)
def test_kind_of_time(stamps: dict[str, list[Any]], kind: str) -> None:
    rows = [
        {"user_id": u, "item_id": f"i{n}", "timestamp": t}
        for u, ts in stamps.items()
        for n, t in enumerate(ts)
    ]
    assert InteractionLog.from_rows(rows).time_kind == kind
    assert InteractionLog.from_rows(rows, time="order").time_kind == "order"
    assert InteractionLog.from_rows(rows, time="absolute").time_kind == "absolute"


def test_without_stamps_rows_give_the_order() -> None:
    log = InteractionLog.from_rows([{"user_id": u, "item_id": i} for u, i in ("ua", "vb", "uc", "ua")])
    assert log.time_kind == "order"
    assert log.times is None
    assert log.history("u") == ["a", "c", "a"]
    with pytest.raises(DataError, match="no column timestamp"):
        InteractionLog.from_rows([{"user_id": "u", "item_id": "a"}], time="absolute")


def test_a_part_of_a_log_keeps_its_kind_of_time_and_drops_unused_ids() -> None:
    log = log_of([("u", "a", 5), ("u", "b", 9), ("v", "c", 0), ("v", "a", 1)])
    part = log.take(np.array([False, False, True, True]))
    assert (part.user_ids, part.time_kind, part.history("v")) == (["v"], "absolute", ["c", "a"])
    assert part.item_ids == canonical_order(["a", "c"])
    assert part.offsets.tolist() == [0, 2]
    assert log.take(np.array([1, 2])).table.to_pylist() == log.table.slice(1, 2).to_pylist()


def test_unknown_items_are_an_error_or_left_out_aloud(caplog: pytest.LogCaptureFixture) -> None:
    items = ItemTable.from_rows([{"item_id": "a", "title": ""}, {"item_id": "z", "title": ""}])
    rows = [("u", "x", 1), ("u", "a", 2), ("v", "y", 3), ("w", "a", 4)]
    with pytest.raises(
        DataError, match=r"rows, row 1, column item_id: .* has no such item .2 of 4"
    ) as caught:
        log_of(rows, items=items)
    assert caught.value.received == "'x'"
    with caplog.at_level(logging.WARNING):
        log = log_of(rows, items=items, unknown="skip")
    assert "rows: 2 of 4 interactions are left out" in caplog.text
    assert (log.user_ids, log.item_ids, len(log)) == (["u", "w"], ["a"], 2)
    caplog.clear()
    assert len(log_of(rows[1:2], items=items, unknown="skip")) == 1
    assert not caplog.text
    with pytest.raises(DataError, match=r"no such item .2 of 2"):
        log_of([rows[0], rows[2]], items=items, unknown="skip")


def test_options_that_are_none() -> None:
    for options in ({"time": "seconds"}, {"unknown": "ignore"}):
        with pytest.raises(DataError, match=f"unknown {next(iter(options))}"):
            log_of([("u", "a", 1)], **options)
    with pytest.raises(DataError, match="no such user") as caught:
        log_of([("u", "a", 1)]).history("v")
    assert caught.value.received == "'v'"


@given(rows_of_a_log, st.randoms(use_true_random=False))
def test_fingerprint_forgets_the_order_of_users_only(rows: list[Row], shuffler: random.Random) -> None:
    expected = log_of(rows).fingerprint()
    users = sorted({row[0] for row in rows})
    shuffler.shuffle(users)
    assert log_of([row for user in users for row in rows if row[0] == user]).fingerprint() == expected
    user, item, stamp = rows[0]
    for changed in ((user, item + "!", stamp), (user + "!", item, stamp), (user, item, stamp // 2 + 50)):
        assert log_of([changed, *rows[1:]]).fingerprint() != expected
    other_time = "order" if log_of(rows).time_kind == "absolute" else "absolute"
    assert log_of(rows, time=other_time).fingerprint() != expected


def test_fingerprint_sees_the_order_within_a_user_and_every_column() -> None:
    base = {"user_id": "u", "timestamp": 5, "rating": 1.0, "event": "buy", "own": "x"}
    rows = [{**base, "item_id": "a"}, {**base, "item_id": "b"}]
    expected = InteractionLog.from_rows(rows).fingerprint()
    assert InteractionLog.from_rows(rows[::-1]).fingerprint() != expected
    for name, value in (("rating", 2.0), ("rating", None), ("event", "view"), ("own", "y"), ("own", None)):
        assert InteractionLog.from_rows([{**rows[0], name: value}, rows[1]]).fingerprint() != expected
    moved = [{**rows[0], "user_id": "v"}, rows[1]]
    assert InteractionLog.from_rows(moved).fingerprint() != expected
    cut = [
        [{"user_id": u, "item_id": i} for u, i in pairs] for pairs in (("ua", "ub", "vc"), ("ua", "vb", "vc"))
    ]
    assert InteractionLog.from_rows(cut[0]).fingerprint() != InteractionLog.from_rows(cut[1]).fingerprint()
    both = [{**row, "user_id": user} for user in "vu" for row in rows]
    assert (
        InteractionLog.from_rows(both).fingerprint()
        == InteractionLog.from_rows(both[2:] + both[:2]).fingerprint()
    )


def test_dictionaries_of_a_source_may_hold_repeats_and_unused_entries() -> None:
    users = pa.DictionaryArray.from_arrays(pa.array([2, 1, 2], pa.int8()), pa.array(["x", "u", "v"]))
    items = pa.DictionaryArray.from_arrays(pa.array([0, 2, 1], pa.int8()), pa.array(["a", "a", "b"]))
    log = InteractionLog.from_table(pa.table({"user_id": users, "item_id": items}))
    assert (log.user_ids, log.history("v"), log.history("u")) == (["v", "u"], ["a", "a"], ["b"])
    holes = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["a", None]))
    with pytest.raises(DataError, match="row 2, column item_id: the id is missing"):
        InteractionLog.from_table(pa.table({"user_id": ["u", "u"], "item_id": holes}))
