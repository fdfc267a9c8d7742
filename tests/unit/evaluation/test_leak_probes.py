"""Each probe catches a planted leak and lets honest data pass."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from genrec.data import Cases, InteractionLog, Split, SyntheticWorld
from genrec.errors import DataError
from genrec.evaluation import altered_held_out, check_held_out, check_leaks
from genrec.evaluation.leak_probes import check_targets, target_rows


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return SyntheticWorld.generate(seed=1, num_items=60, num_users=200).interactions


@pytest.fixture(scope="module")
def split(log: InteractionLog) -> Split:
    return log.leave_one_out()


def splits(log: InteractionLog) -> list[Split]:
    return [log.leave_one_out(), log.time_split(0.2, 0.2), log.cold_item_split(0.3)]


def test_honest_splits_pass_and_say_what_was_found(log: InteractionLog) -> None:
    for split, by_time in zip(splits(log), (False, True, False), strict=True):
        found = check_leaks(log, split, by_time=by_time, held_out=["Semantic IDs"])
        assert found.cases == len(split.test)
        assert found.later_training is not None
        assert (found.later_training == 0) is by_time
        assert "Semantic IDs" in found.lines()["held-out interactions changed"]
        assert found.to_dict()["held_out"] == ["Semantic IDs"]


def test_a_history_that_holds_its_answer_is_refused(log: InteractionLog, split: Split) -> None:
    test = split.test
    leaking = Cases(
        test.user_ids, [(*h, t) for h, t in zip(test.histories, test.targets, strict=True)], test.targets
    )
    with pytest.raises(DataError, match="not what its user had before"):
        check_leaks(log, dataclasses.replace(split, test=leaking))
    with pytest.raises(DataError, match="the answers leak") as caught:
        check_targets(leaking, split.train)
    assert "100.0% of 200 cases" in str(caught.value.received)


def test_one_leaking_case_in_ten_is_enough(split: Split) -> None:
    test = split.test
    histories = [
        (t, *h) if i % 10 == 0 else h
        for i, (h, t) in enumerate(zip(test.histories, test.targets, strict=True))
    ]
    with pytest.raises(DataError, match="the answers leak"):
        check_targets(Cases(test.user_ids, histories, test.targets), split.train)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_people_who_come_back_are_no_leak(share: float) -> None:
    generator = np.random.default_rng(0)
    rows = []
    for user in range(400):
        had = [int(generator.integers(1000))]
        for _ in range(7):
            had.append(int(generator.choice(had) if generator.random() < share else generator.integers(1000)))
        rows += [{"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": t} for t, item in enumerate(had)]
    log = InteractionLog.from_rows(rows)
    found = check_leaks(log, log.leave_one_out())
    assert found.targets_in_history == pytest.approx(share, abs=0.08)
    assert found.later_training is None  # this log knows the order only


def test_a_target_further_down_the_log_is_not_the_next_item(log: InteractionLog, split: Split) -> None:
    test = split.test
    shorter = Cases(test.user_ids, [history[1:] for history in test.histories], test.targets)
    with pytest.raises(DataError, match="not what its user had"):
        target_rows(log, shorter)
    stranger = Cases(("nobody",), (("x",),), ("y",))
    with pytest.raises(DataError, match="not what its user had"):
        target_rows(log, stranger)


def test_training_data_from_the_future_is_refused_where_time_was_cut(log: InteractionLog) -> None:
    split = log.time_split(0.2, 0.2)
    assert log.times is not None
    rows = np.flatnonzero(log.times < np.sort(log.times)[len(log) * 9 // 10])  # into the test window
    leaking = dataclasses.replace(split, train=log.take(rows))
    with pytest.raises(DataError, match="reaches into the time of the cases"):
        check_leaks(log, leaking, by_time=True)


def test_leave_one_out_tells_how_much_it_sees_of_the_future(log: InteractionLog, split: Split) -> None:
    found = check_leaks(log, split)
    assert found.later_training is not None
    assert found.later_items is not None
    assert 0.01 < found.later_training < 0.99
    assert log.times is not None
    assert split.train.times is not None
    moments = [log.times[row] for row in target_rows(log, split.test)]
    expected = np.mean([(split.train.times > moment).mean() for moment in moments])
    assert found.later_training == pytest.approx(float(expected))


@pytest.mark.parametrize("kind", range(3))
def test_other_held_out_items_leave_everything_else_as_it_is(log: InteractionLog, kind: int) -> None:
    split = splits(log)[kind]
    altered = altered_held_out(log, split)
    again = splits(altered)[kind]
    assert again.train.fingerprint() == split.train.fingerprint()
    assert len(altered) == len(log)
    assert sorted(altered.item_ids) == sorted(log.item_ids)
    for before, after in ((split.validation, again.validation), (split.test, again.test)):
        assert before.user_ids == after.user_ids
        assert all(x != y for x, y in zip(before.targets, after.targets, strict=True))
    counts = [np.bincount(x.items, minlength=len(x.item_ids)) for x in (log, altered)]
    assert sorted(x for x in zip(log.item_ids, counts[0], strict=True)) != sorted(
        x for x in zip(altered.item_ids, counts[1], strict=True)
    )


def popularity_ids(log: InteractionLog) -> np.ndarray:
    """Codes by popularity, in the order of the item ids."""
    counts = dict(zip(log.item_ids, np.bincount(log.items, minlength=len(log.item_ids)), strict=True))
    return np.array([[counts[item] % 7, counts[item] // 7] for item in sorted(log.item_ids)], dtype=np.int32)


def first_seen_ids(log: InteractionLog) -> np.ndarray:
    """Codes in the order of first appearance in users' histories: P5's sequential index."""
    place = {item: number for number, item in enumerate(dict.fromkeys(log.items.tolist()))}
    by_name = dict(zip(log.item_ids, range(len(log.item_ids)), strict=True))
    return np.array([[place[by_name[item]]] for item in sorted(by_name)], dtype=np.int32)


@pytest.mark.parametrize("make", [popularity_ids, first_seen_ids])
def test_ids_made_from_the_whole_log_are_caught(log: InteractionLog, split: Split, make: object) -> None:
    assert callable(make)
    with pytest.raises(DataError, match="Semantic IDs were made from held-out interactions") as caught:
        check_held_out("Semantic IDs", make, log, split)
    assert "of 60 rows changed" in str(caught.value.received)


def test_ids_made_from_the_training_part_or_from_content_pass(log: InteractionLog, split: Split) -> None:
    names = sorted(log.item_ids)

    def trained(whole: InteractionLog) -> np.ndarray:
        train = whole.leave_one_out().train
        counts = dict(zip(train.item_ids, np.bincount(train.items), strict=True))
        return np.array([[counts.get(item, 0)] for item in names])

    check_held_out("Semantic IDs", trained, log, split)
    check_held_out("vectors", lambda _: np.arange(120.0).reshape(60, 2), log, split)


def test_what_differs_each_time_is_told_apart_from_a_leak(log: InteractionLog, split: Split) -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(DataError, match="vectors differ each time they are made"):
        check_held_out("vectors", lambda _: generator.random((60, 2)), log, split)
    lengths = iter((60, 59, 60))
    with pytest.raises(DataError, match="vectors were made from held-out"):
        check_held_out("vectors", lambda _: np.zeros((next(lengths), 2)), log, split)
