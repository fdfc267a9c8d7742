"""The probe catches a planted leak and leaves arbitrary orders alone."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from genrec.data import Cases, InteractionLog, ItemTable
from genrec.errors import DataError
from genrec.evaluation import check_row_order
from genrec.evaluation.row_order_probe import IDS, ROWS, consecutive_numbers


def histories(seed: int, users: int = 300, items: int = 400) -> list[list[int]]:
    """Users who draw items by popularity, each item once."""
    generator = np.random.default_rng(seed)
    weights = 1 / np.arange(1, items + 1)
    weights /= weights.sum()
    return [generator.choice(items, size=6, replace=False, p=weights).tolist() for _ in range(users)]


def cases_of(rows: list[list[int]], names: list[str]) -> Cases:
    return Cases(
        tuple(f"u{i}" for i in range(len(rows))),
        tuple(tuple(names[item] for item in row[:-1]) for row in rows),
        tuple(names[row[-1]] for row in rows),
    )


def table(order: list[str]) -> ItemTable:
    return ItemTable.from_rows([{"item_id": item, "title": item} for item in order])


def first_appearance(rows: list[list[int]], items: int) -> list[int]:
    seen = dict.fromkeys(item for row in rows for item in row)
    return [*seen, *(item for item in range(items) if item not in seen)]


@pytest.mark.parametrize("seed", range(10))
def test_an_arbitrary_order_passes(seed: int) -> None:
    rows, names = histories(seed), [f"item {chr(97 + i % 26)}{i * 37}x" for i in range(400)]
    order = [names[i] for i in np.random.default_rng(100 + seed).permutation(400)]
    result = check_row_order(table(order), cases_of(rows, names), permutations=199)
    assert result.leaks == ()
    assert result.p_values[ROWS] > 1 / 200
    assert set(result.p_values) == {ROWS}


def test_a_table_numbered_by_first_appearance_is_refused() -> None:
    rows, names = histories(0), [f"item {i}x" for i in range(400)]
    order = [names[i] for i in first_appearance(rows, 400)]
    with pytest.raises(DataError) as caught:
        check_row_order(table(order), cases_of(rows, names), permutations=199)
    told = caught.value
    assert "order of the item table's rows" in told.problem
    assert "recall@10" in str(told.received)
    assert "by chance" in str(told.received)
    assert "shuffle the rows" in str(told.remedy)


def test_the_same_table_shuffled_passes() -> None:
    rows, names = histories(0), [f"item {i}x" for i in range(400)]
    order = [names[i] for i in np.random.default_rng(3).permutation(400)]
    assert check_row_order(table(order), cases_of(rows, names), permutations=199).leaks == ()


@pytest.mark.parametrize("turned", [False, True])
def test_like_items_side_by_side_are_refused_in_either_direction(turned: bool) -> None:
    generator = np.random.default_rng(0)
    rows = [
        (int(start) + generator.integers(-6, 7, size=5)).tolist()
        for start in generator.integers(10, 390, 300)
    ]
    names = [f"item {i}x" for i in range(400)]
    with pytest.raises(DataError, match="nearest to the"):
        check_row_order(table(names[::-1] if turned else names), cases_of(rows, names), permutations=199)


def test_many_users_of_one_pair_are_no_evidence() -> None:
    # 400 of 500 users go from one item to one other: wherever those two stand side by side, a rule finds 80 %
    generator = np.random.default_rng(0)
    rows = [[0, 1]] * 400 + [generator.choice(400, size=2, replace=False).tolist() for _ in range(100)]
    names = [f"item {i}x" for i in range(400)]
    result = check_row_order(table(names), cases_of(rows, names), permutations=999)
    assert max(rule.recall for rule in result.rules) > 0.7  # they do, here
    assert result.leaks == ()


def test_numbers_in_the_ids_are_told_but_not_refused(caplog: pytest.LogCaptureFixture) -> None:
    rows = histories(0)
    place = {item: i for i, item in enumerate(first_appearance(rows, 400))}
    names = [f"s{place[i]:04d}" for i in range(400)]
    order = [names[i] for i in np.random.default_rng(3).permutation(400)]
    with caplog.at_level(logging.WARNING):
        result = check_row_order(table(order), cases_of(rows, names), permutations=199)
    assert result.leaks == (IDS,)
    assert result.p_values[IDS] == pytest.approx(1 / 200)
    assert result.p_values[ROWS] > 1 / 200
    assert "item ids are not arbitrary" in caplog.text


def test_the_probe_is_seeded_and_can_be_written_down() -> None:
    rows, names = histories(1), [f"item {i}x" for i in range(400)]
    order = [names[i] for i in np.random.default_rng(3).permutation(400)]
    one, again = (check_row_order(table(order), cases_of(rows, names), permutations=99) for _ in range(2))
    assert one == again
    assert one.to_dict()["cases"] == 300
    assert one.to_dict()["rules"][0]["numbering"] == ROWS


def test_many_cases_are_sampled() -> None:
    rows, names = histories(1), [f"item {i}x" for i in range(400)]
    order = [names[i] for i in np.random.default_rng(3).permutation(400)]
    assert check_row_order(table(order), cases_of(rows, names), permutations=99, max_cases=50).cases == 50


def test_cases_without_a_history_cannot_be_probed() -> None:
    result = check_row_order(table(["a", "b"]), Cases(("u",), ((),), ("a",)), permutations=9)
    assert (result.cases, result.rules, result.leaks) == (0, (), ())


def test_a_tiny_table_passes() -> None:
    names = [f"item {i}x" for i in range(5)]
    result = check_row_order(table(names), cases_of([[0, 1], [1, 2], [2, 3]], names), permutations=99)
    assert result.leaks == ()


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["s3", "s1", "s2"], [2, 0, 1]),
        (["7", "9", "8"], [0, 2, 1]),
        (["s0010", "s0009"], [1, 0]),
        (["1", "1000"], None),  # no numbering without gaps
        (["a1", "b2"], None),
        (["1", "01"], None),
        (["B004EDYQXG", "B00150LT40"], None),
        ([], None),
    ],
)
def test_only_running_numbers_are_a_numbering(ids: list[str], expected: list[int] | None) -> None:
    found = consecutive_numbers(ids)
    assert (None if found is None else found.tolist()) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["amazon_scientific", "amazon_beauty"])
def test_the_real_tables_pass_and_their_first_appearance_order_does_not(shared_data: Path, name: str) -> None:
    items = ItemTable.read(shared_data / name / "items.jsonl.gz")
    log = InteractionLog.read(shared_data / name / "interactions.csv.gz", items=items)
    test = log.leave_one_out().test
    result = check_row_order(items, test)
    assert result.leaks == ()
    found = log.histories()
    order = dict.fromkeys(found.items.tolist())
    leaking = items.subset([found.item_ids[i] for i in order])
    with pytest.raises(DataError, match="tells the next item"):
        check_row_order(leaking, test)
