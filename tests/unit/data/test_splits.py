"""Splits and the k-core against plain loops that follow the same words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from genrec.data import Cases, InteractionLog, Split
from genrec.data.canonical import id_hash
from genrec.errors import DataError

Row = tuple[str, str, int]
rows_of_a_log = st.lists(
    st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdefgh"), st.integers(0, 30)),
    min_size=1,
    max_size=50,
)


def log_of(rows: list[Row], time: Any = "absolute") -> InteractionLog:
    return InteractionLog.from_rows(
        [{"user_id": u, "item_id": i, "timestamp": t} for u, i, t in rows], time=time
    )


def rows_of(log: InteractionLog) -> list[Row]:
    return [(row["user_id"], row["item_id"], row["timestamp"]) for row in log.table.to_pylist()]


def by_user(log: InteractionLog) -> dict[str, list[Row]]:
    return {user: [row for row in rows_of(log) if row[0] == user] for user in log.user_ids}


def cases_of(found: list[tuple[str, list[str], str]]) -> Cases:
    return Cases(
        tuple(u for u, _, _ in found), tuple(tuple(h) for _, h, _ in found), tuple(t for _, _, t in found)
    )


def check(split: Split, train: list[Row], validation: list[Any], test: list[Any]) -> None:
    assert rows_of(split.train) == train
    assert split.validation == cases_of(validation)
    assert split.test == cases_of(test)


def test_leave_one_out_on_a_small_log() -> None:
    log = log_of([("u", "a", 1), ("u", "b", 2), ("u", "a", 3), ("u", "c", 4), ("v", "a", 1), ("v", "d", 2)])
    split = log.leave_one_out()
    check(
        split,
        [("u", "a", 1), ("u", "b", 2), ("v", "a", 1), ("v", "d", 2)],
        [("u", ["a", "b"], "a")],
        [("u", ["a", "b", "a"], "c")],
    )
    assert split.train.time_kind == "absolute"
    assert "leave-one-out" in split.rule


@given(rows_of_a_log)
def test_leave_one_out(rows: list[Row]) -> None:
    log = log_of(rows)
    train, validation, test = [], [], []
    for user, own in by_user(log).items():
        items = [item for _, item, _ in own]
        train += own[:-2] if len(own) >= 3 else own
        if len(own) >= 3:
            validation.append((user, items[:-2], items[-2]))
            test.append((user, items[:-1], items[-1]))
    if not test:
        with pytest.raises(DataError, match="no user has a test"):
            log.leave_one_out()
        return
    check(log.leave_one_out(), train, validation, test)


def test_time_split_on_a_small_log() -> None:
    rows = [("u", "a", 1), ("v", "b", 2), ("u", "c", 3), ("v", "d", 4), ("u", "e", 5), ("v", "f", 6)]
    rows += [("w", "g", 7), ("u", "h", 8), ("u", "i", 9), ("w", "j", 10)]
    split = log_of(rows).time_split(validation_share=0.2, test_share=0.3)
    check(
        split,
        [("u", "a", 1), ("u", "c", 3), ("u", "e", 5), ("v", "b", 2), ("v", "d", 4)],
        [("v", ["b", "d"], "f")],  # w has nothing before the window
        [("u", ["a", "c", "e"], "h"), ("w", ["g"], "j")],
    )
    assert "from stamp 6, test from stamp 8" in split.rule


@given(rows_of_a_log, st.floats(0.05, 0.45), st.floats(0.05, 0.45))
def test_time_split(rows: list[Row], validation_share: float, test_share: float) -> None:
    log = log_of(rows)
    n, stamps = len(rows), sorted(stamp for _, _, stamp in rows)
    test_cut = stamps[min(n - round(n * test_share), n - 1)]
    cut = stamps[min(n - round(n * (validation_share + test_share)), n - 1)]
    validation, test = [], []
    for user, own in by_user(log).items():
        for start, end, cases in ((cut, test_cut, validation), (test_cut, 10**9, test)):
            before = [item for _, item, stamp in own if stamp < start]
            within = [item for _, item, stamp in own if start <= stamp < end]
            if before and within:
                cases.append((user, before, within[0]))
    train = [row for row in rows_of(log) if row[2] < cut]
    if not (train and validation and test):
        with pytest.raises(DataError, match="leaves nothing for"):
            log.time_split(validation_share, test_share)
        return
    split = log.time_split(validation_share, test_share)
    check(split, train, validation, test)
    assert split.train.times is not None
    assert split.train.times.max() < cut


def test_time_split_needs_absolute_time_and_room() -> None:
    order = log_of([("u", item, n) for n, item in enumerate("abcdef")], time="auto")
    with pytest.raises(DataError, match="needs absolute times") as caught:
        order.time_split(0.1, 0.1)
    assert caught.value.received == "time_kind='order'"
    with pytest.raises(DataError, match="needs absolute times"):
        InteractionLog.from_rows([{"user_id": "u", "item_id": "a"}]).time_split(0.1, 0.1)
    log = log_of([("u", item, 5 * n) for n, item in enumerate("abcdef")])
    for shares in ((0, 0.1), (0.1, 0), (-0.1, 0.2), (0.5, 0.5), (float("nan"), 0.1)):
        with pytest.raises(DataError, match="the shares leave nothing"):
            log.time_split(*shares)
    with pytest.raises(DataError, match="leaves nothing for training and validation and test") as caught:
        log_of([("u", "a", 7), ("v", "b", 7)]).time_split(0.2, 0.2)
    assert caught.value.received == "training: 0, validation: 0, test: 0"


def test_everyone_who_is_there_before_a_window_and_in_it_gives_a_case() -> None:
    rows = [(f"u{user}", f"i{user}-{n}", 100 * n + user) for user in range(50) for n in range(10)]
    split = log_of(rows).time_split(0.1, 0.1)
    assert (len(split.train), len(split.validation), len(split.test)) == (400, 50, 50)


@given(rows_of_a_log, st.floats(0.1, 0.9), st.integers(0, 5))
def test_cold_item_split(rows: list[Row], share: float, seed: int) -> None:
    log = log_of(rows)
    ranked = sorted(log.item_ids, key=lambda item: id_hash(item, seed))
    cold = ranked[: max(2, round(share * len(ranked)))]
    train, validation, test = [], [], []
    for user, own in by_user(log).items():
        items = [item for _, item, _ in own]
        first = next((n for n, item in enumerate(items) if item in cold), len(items))
        train += own[:first]
        if 0 < first < len(items):
            cases = validation if cold.index(items[first]) % 2 == 0 else test
            cases.append((user, items[:first], items[first]))
    if not (train and validation and test):
        with pytest.raises(DataError, match="leaves nothing for"):
            log.cold_item_split(share, seed)
        return
    split = log.cold_item_split(share, seed)
    check(split, train, validation, test)
    targets = {*split.validation.targets, *split.test.targets}
    seen = {item for history in (*split.validation.histories, *split.test.histories) for item in history}
    assert set(split.held_out) == set(cold)
    assert set(cold).isdisjoint(split.train.item_ids)
    assert targets.isdisjoint(split.train.item_ids)
    assert targets.isdisjoint(seen)
    assert set(split.validation.targets).isdisjoint(split.test.targets)


def test_cold_items_depend_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", n) for user in range(80) for n, item in enumerate(rng.permutation(40)[:6])
    ]
    split = log_of(rows).cold_item_split(0.2, seed=1)
    again = log_of(sorted(rows)).cold_item_split(0.2, seed=1)
    assert split.validation.fingerprint() == again.validation.fingerprint()
    assert split.train.fingerprint() == again.train.fingerprint()
    assert split.test.fingerprint() != log_of(rows).cold_item_split(0.2, seed=2).test.fingerprint()
    assert len({*split.validation.targets, *split.test.targets}) <= 8
    for share in (0, 1, -1.0, float("nan")):
        with pytest.raises(DataError, match="share of cold items"):
            log_of(rows).cold_item_split(share)


@given(rows_of_a_log, st.integers(1, 4))
def test_k_core(rows: list[Row], k: int) -> None:
    log = log_of(rows)
    left = rows_of(log)
    while True:
        users, items = Counter(row[0] for row in left), Counter(row[1] for row in left)
        kept = [row for row in left if users[row[0]] >= k and items[row[1]] >= k]
        if kept == left:
            break
        left = kept
    if not left:
        with pytest.raises(DataError, match=f"the {k}-core of the log is empty"):
            log.k_core(k)
        return
    core = log.k_core(k)
    assert rows_of(core) == left
    assert core.time_kind == log.time_kind
    assert core.k_core(k) is core


def test_k_core_needs_a_k() -> None:
    with pytest.raises(DataError, match="k >= 1"):
        log_of([("u", "a", 1)]).k_core(0)


def test_a_chain_is_unravelled_to_the_end() -> None:
    chain = [
        (f"u{n + step}", f"i{n}", n) for n in range(200) for step in (0, 1)
    ]  # u0-i0-u1-i1-…: ends drop off
    clique = [(user, item, 0) for user in "ab" for item in "xy"]
    assert rows_of(log_of(chain + clique).k_core(2)) == clique


@given(rows_of_a_log)
def test_no_split_looks_ahead(rows: list[Row]) -> None:
    log = log_of(rows)
    assume(any(len(own) >= 3 for own in by_user(log).values()))
    split = log.leave_one_out()
    for user, history, target in zip(
        split.test.user_ids, split.test.histories, split.test.targets, strict=True
    ):
        assert [*history, target] == log.history(user)
        position = split.validation.user_ids.index(user)
        assert (*split.validation.histories[position], split.validation.targets[position]) == history
        assert tuple(split.train.history(user)) == split.validation.histories[position]
