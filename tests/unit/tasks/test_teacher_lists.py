"""A teacher's lists: drawn by their shares, at the right position, never for another log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.tasks import ItemAugmentation, ItemSequences, TeacherLists

ITEMS = ["a", "b", "c", "d"]


def test_labels_are_drawn_by_the_shares_and_silence_leaves_what_came_next() -> None:
    rows = np.array([[2, 3], [1, 0]])
    teacher = TeacherLists.of(rows, np.array([[3.0, 1.0], [0.0, 0.0]]), share=1.0)
    rng = np.random.default_rng(0)
    drawn = teacher.labels(np.repeat([0, 1], 20_000), np.full(40_000, 7), rng)
    assert set(drawn[:20_000].tolist()) == {2, 3}
    assert abs((drawn[:20_000] == 2).mean() - 0.75) < 0.02
    assert (drawn[20_000:] == 7).all()


def test_half_of_the_labels_are_the_teachers() -> None:
    teacher = TeacherLists.of(np.array([[5]]), np.array([[1.0]]), share=0.5)
    drawn = teacher.labels(np.zeros(20_000, dtype=int), np.zeros(20_000, dtype=int), np.random.default_rng(1))
    assert abs((drawn == 5).mean() - 0.5) < 0.02


def test_each_position_has_its_own_list_in_windows_and_beside_foreign_items(
    letters_log: Callable[..., InteractionLog],
) -> None:
    history = "abcdcbabdcabcdabca"
    train = letters_log("xab", history)
    named = np.arange(len(train.items))[:, None]  # the list of a position names the position itself
    teacher = TeacherLists.of(named, np.ones_like(named), share=1.0)
    rows = ItemSequences(ITEMS, train, max_history=5, teacher=teacher)
    whole = [ITEMS.index(item) for item in history]
    seen = set()
    for epoch in range(20):
        rows.set_epoch(epoch)
        assert rows[0]["labels"].tolist() == [1]  # "a" of "xab": the second interaction
        row = rows[1]
        start = int(row["labels"][0]) - 3
        assert row["labels"].tolist() == list(range(start + 3, start + 8))
        assert row["items"].tolist() == whole[start : start + 5]
        seen.add(start)
    assert len(seen) > 3


@pytest.mark.parametrize(
    ("rows", "shares", "share", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), 0.5, "not of one shape"),
        (np.zeros((2, 0)), np.zeros((2, 0)), 0.5, "not of one shape"),
        (np.zeros((2, 2)), np.full((2, 2), -1.0), 0.5, "out of range"),
        (np.zeros((2, 2)), np.full((2, 2), np.nan), 0.5, "out of range"),
        (np.zeros((2, 2)), np.ones((2, 2)), 1.5, "out of range"),
    ],
)
def test_bad_lists_are_refused(rows: np.ndarray, shares: np.ndarray, share: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TeacherLists.of(rows, shares, share)


def test_lists_of_another_log_or_beside_moving_rows_are_refused(
    letters_log: Callable[..., InteractionLog],
) -> None:
    teacher = TeacherLists.of(np.zeros((3, 1), dtype=int), np.ones((3, 1)), share=0.5)
    with pytest.raises(DataError, match="another log"):
        ItemSequences(ITEMS, letters_log("abcd"), teacher=teacher)
    with pytest.raises(DataError, match="fixed positions"):
        ItemSequences(ITEMS, letters_log("abc"), teacher=teacher, augmentation=ItemAugmentation(crop=0.5))
    ItemSequences(ITEMS, letters_log("abc"), teacher=teacher, augmentation=ItemAugmentation(far_targets=0.5))
