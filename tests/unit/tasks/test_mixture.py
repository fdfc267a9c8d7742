"""Mixtures: weights and caps, a fair turn for every row, rows of (seed, epoch, index) alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.errors import DataError
from genrec.tasks import PromptBuilder, TaskMixture, TokenRows
from genrec.tasks.keyed_permutation import mixed, permuted


class Numbers:
    """A task whose rows are their own numbers."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size

    def __len__(self) -> int:
        return self.size

    @property
    def num_targets(self) -> int:
        return 2 * self.size

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.array([index, int(rng.integers(1000))]), np.array([-100, 1])


def rows_of(mixture: TaskMixture, epoch: int) -> list[tuple[str, int]]:
    return [(t.name, i) for t, i in (mixture.locate(index, epoch) for index in range(len(mixture)))]


@given(st.integers(1, 600), st.integers(0, 1 << 63))
def test_a_keyed_permutation_is_one(size: int, key: int) -> None:
    assert sorted(permuted(index, size, key) for index in range(size)) == list(range(size))


def test_keys_give_different_orders_that_look_drawn() -> None:
    orders = {tuple(permuted(index, 5, mixed(key)) for index in range(5)) for key in range(2000)}
    assert len(orders) > 110  # of 120
    first = Counter(permuted(0, 10, mixed(key)) for key in range(5000))
    assert min(first.values()) > 400
    assert max(first.values()) < 600
    assert permuted(10**12 - 1, 10**12, 3) < 10**12  # nothing of that size is stored


def test_the_hash_is_splitmix_and_never_changes() -> None:
    assert mixed(0) == 0xE220A8397B1DCDAF  # the first output of SplitMix64 seeded with 0
    assert mixed(1, 2, 3) == 0xD0734750FDE362B3


def test_weights_and_caps_set_the_rows_of_an_epoch(tiny_catalog: Any) -> None:
    tasks = [Numbers("a", 10), Numbers("b", 8), Numbers("c", 5)]
    mixture = TaskMixture(tiny_catalog, tasks, weights={"a": 0.5, "c": 2}, caps={"b": 3, "c": 7})
    assert mixture.counts == [5, 3, 7]
    assert len(mixture) == 15
    assert mixture.num_targets == 10 + 6 + 14
    counted = Counter(name for name, _ in rows_of(mixture, 4))
    assert counted == {"a": 5, "b": 3, "c": 7}
    assert rows_of(TaskMixture(tiny_catalog, tasks), 3) == [
        *(("a", i) for i in range(10)),
        *(("b", i) for i in range(8)),
        *(("c", i) for i in range(5)),
    ]


@pytest.mark.parametrize("weight", [0.3, 0.7, 1.5, 2.0])
def test_every_row_has_its_turn_before_any_has_the_next(tiny_catalog: Any, weight: float) -> None:
    mixture = TaskMixture(tiny_catalog, [Numbers("a", 10)], weights={"a": weight}, seed=2)
    taken: Counter[int] = Counter()
    for epoch in range(10):
        taken.update(inside for _, inside in rows_of(mixture, epoch))
        assert max(taken.values()) - min(taken[i] for i in range(10)) <= 1
    assert rows_of(mixture, 0) != rows_of(mixture, 10)
    again = TaskMixture(tiny_catalog, [Numbers("a", 10)], weights={"a": weight}, seed=2)
    other = TaskMixture(tiny_catalog, [Numbers("a", 10)], weights={"a": weight}, seed=3)
    assert [rows_of(mixture, e) for e in (5, 1)] == [rows_of(again, e) for e in (5, 1)]
    assert [rows_of(mixture, e) for e in range(9)] != [rows_of(other, e) for e in range(9)]


def test_a_row_does_not_depend_on_what_was_read_before(tiny_catalog: Any) -> None:
    mixture = TaskMixture(tiny_catalog, [Numbers("a", 50), Numbers("b", 9)], caps={"a": 20}, seed=1)
    builder: Any = None  # these rows need none
    rows = TokenRows(mixture, builder)

    def read(epoch: int, order: list[int]) -> dict[int, list[int]]:
        rows.set_epoch(epoch)
        return {index: rows[index]["input_ids"].tolist() for index in order}

    everything = list(range(len(mixture)))
    assert read(3, everything) == read(3, everything[::-1])
    shares = [read(3, everything[process::4]) for process in range(4)]  # four processes, a quarter each
    assert {index: row for share in shares for index, row in share.items()} == read(3, everything)
    assert read(3, everything) != read(4, everything)


def test_wrong_weights_and_rows_get_a_clear_error(tiny_catalog: Any) -> None:
    tasks = [Numbers("a", 10), Numbers("b", 8)]
    with pytest.raises(DataError, match=r"not in the mixture\nreceived: c, d"):
        TaskMixture(tiny_catalog, tasks, weights={"d": 1}, caps={"c": 3})
    for options in ({"weights": {"b": 0.01}}, {"caps": {"b": 0}}, {"weights": {"b": -1}}):
        with pytest.raises(DataError, match="of b leaves no row"):
            TaskMixture(tiny_catalog, tasks, **options)
    for seed in (-1, 1 << 32):
        with pytest.raises(DataError, match="a seed has 32 bits"):
            TaskMixture(tiny_catalog, tasks, seed=seed)
    mixture = TaskMixture(tiny_catalog, tasks)
    for index in (-1, 18):
        with pytest.raises(DataError, match="no such row"):
            mixture.locate(index, 0)
