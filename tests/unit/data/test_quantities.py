"""Times, prices and ratings: what is read, what is refused, and where."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest

from genrec.data.column import Column, Place
from genrec.data.quantities import number_values, price_values, time_values
from genrec.errors import DataError

UTC = datetime.UTC
EAST = datetime.timezone(datetime.timedelta(hours=2))


def column(values: Any) -> Column:
    if isinstance(values, pa.Array):
        values = pa.chunked_array([values])
    return Column("c", values, Place("f.csv", lambda row: row + 2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 5, -3], [0, 5, -3]),
        (["1300000000", "1300000001"], [1_300_000_000, 1_300_000_001]),
        ([1_700_000_000_123, 1_700_000_000_124], [1_700_000_000_123, 1_700_000_000_124]),
        ([5.0, 7.0], [5, 7]),
        (["5.0", "1.3e9", "7"], [5, 1_300_000_000, 7]),
        (["5", 7, 8.0], [5, 7, 8]),
        ([5, 7.5], [5_000_000, 7_500_000]),
        (["1700000000.123456", "1700000000"], [1_700_000_000_123_456, 1_700_000_000_000_000]),
        (["2020-01-01", "2020-01-01T00:01:00"], [1_577_836_800, 1_577_836_860]),
        (["2020-01-01T00:00:00Z", "2020-01-01 02:00:00+02:00", "2020-01-01"], [1_577_836_800] * 3),
        (["2020-01-01T00:00:00-0130"], [1_577_842_200]),
        (["2020-01-01T00:00:00.5Z", "2020-01-01"], [1_577_836_800_500_000, 1_577_836_800_000_000]),
        (["2020-01-01T00:00:00.000000001"], [1_577_836_800_000_000_001]),
        (["2020-01-01T00:00:00.000"], [1_577_836_800]),
        (["1600-01-01", "9999-12-31"], [-11_676_096_000, 253_402_214_400]),
        ([datetime.date(2020, 1, 1)], [1_577_836_800]),
        ([datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, 2)], [1_577_836_800, 1_577_844_000]),
        ([datetime.datetime(2020, 1, 1, 2, tzinfo=EAST)], [1_577_836_800]),
        ([datetime.datetime(2020, 1, 1, tzinfo=UTC), datetime.date(2020, 1, 1)], [1_577_836_800] * 2),
        (pa.array([1500, 3000], pa.timestamp("ms")), [1_500_000, 3_000_000]),
        (pa.array([1000, 3000], pa.timestamp("ms")), [1, 3]),
        (pa.array([1_000_000_000, 3], pa.timestamp("ns")), [1_000_000_000, 3]),
        (pa.array(["7", "8"]).dictionary_encode(), [7, 8]),
        (pa.array([7, 8], pa.uint8()), [7, 8]),
    ],
)  # fmt: skip
def test_times(values: Any, expected: list[int]) -> None:
    stamps = time_values(column(values))
    assert stamps.type == pa.int64()
    assert stamps.to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "line", "problem"),
    [
        (["2020-01-01"] * 5 + ["soon", "later"], 7, "not a time"),
        (["1", "2", "x", "y"], 4, "not a number like the first row's"),
        (["1", "2020-01-01"], 3, "not a number like the first row's"),
        (["2020-01-01", "1"], 3, "not a time"),
        (["0x10"], 2, "not a time"),
        (["1", "0X10"], 3, "not a number"),
        (["1", "0x10"], 3, "not a number"),
        (["soon"], 2, "not a time"),
        (["1", ""], 3, "not a number"),
        (["2020-13-01"], 2, "not a time"),
        ([1, None], 3, "the time is missing"),
        ([1.0, float("nan")], 3, "not a time that can be kept exactly"),
        (["1", "inf"], 3, "not a time that can be kept exactly"),
        ([1.0, 2.0**60], 3, "not a time that can be kept exactly"),
        ([1, True], 3, "not a time but a truth value"),
        ([True], 2, "not a time but a truth value"),
        ([[1]], 2, "not a time but a list"),
        (pa.array([1, 2**63], pa.uint64()), 3, "not a time"),
    ],
)
def test_what_is_no_time_is_named_with_its_line(values: Any, line: int, problem: str) -> None:
    with pytest.raises(DataError, match=f"^f.csv, line {line}, column c: {problem}"):
        time_values(column(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["12.99", "$12.99", "12.99€", " £ 5 ", "", "0"], [12.99, 12.99, 12.99, 5.0, None, 0.0]),
        ([1, 2.5, None, float("nan")], [1.0, 2.5, None, None]),
        (["$1", 2, None], [1.0, 2.0, None]),
        ([None, None], [None, None]),
        (["1e-7"], [1e-7]),
    ],
)
def test_prices(values: list[Any], expected: list[float | None]) -> None:
    assert price_values(column(values)).to_pylist() == expected


@pytest.mark.parametrize(
    "bad",
    [
        "12,99",
        "1.299,00",
        "$5€",
        "USD 5",
        "free",
        "nan",
        "inf",
        "-3",
        "5 $ $",
        "0x5",
        "0X5",
        "1_0",
        -3.0,
        True,
        [1],
    ],
)
def test_what_is_no_price_is_named_with_its_line(bad: Any) -> None:
    with pytest.raises(DataError, match=r"^f\.csv, line 3, column c: not a price") as caught:
        price_values(column(["1", bad]) if not isinstance(bad, float) else column([1.0, bad]))
    assert caught.value.received == repr(bad)
    assert "currency sign" in str(caught.value.remedy) or not isinstance(bad, str | float)


def test_ratings_may_be_missing_or_negative_and_must_fit_in_float32() -> None:
    assert number_values(column(["-1", "", "4.5"]), "a rating", pa.float32()).to_pylist() == [-1.0, None, 4.5]
    with pytest.raises(DataError, match="line 2, column c: not a rating"):
        number_values(column([1e300]), "a rating", pa.float32())
    with pytest.raises(DataError, match="line 3, column c: not a rating"):
        number_values(column(["1", "good"]), "a rating", pa.float32())
    with pytest.raises(DataError, match="line 2, column c: not a rating but a truth value"):
        number_values(column([True]), "a rating", pa.float32())
