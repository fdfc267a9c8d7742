"""Histories as rows: what is predicted from what, windows of long ones, padding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.tasks import ItemSequences
from genrec.tasks.item_sequences import NOTHING, collate_items

ITEMS = ["a", "b", "c", "d"]


def test_every_item_predicts_the_next_and_foreign_ones_are_left_out(
    letters_log: Callable[..., InteractionLog],
) -> None:
    rows = ItemSequences(ITEMS, letters_log("abcd", "b", "cxa", "xd"))
    assert len(rows) == 2
    assert rows[0]["items"].tolist() == [0, 1, 2]
    assert rows[0]["labels"].tolist() == [1, 2, 3]
    assert rows[1]["items"].tolist() == [2]
    assert rows[1]["labels"].tolist() == [0]


def test_a_long_history_gives_another_window_each_epoch(letters_log: Callable[..., InteractionLog]) -> None:
    history = "abcdcbabdcabcdabca"
    rows = ItemSequences(ITEMS, letters_log(history), max_history=5, seed=1)
    whole = [ITEMS.index(item) for item in history]
    seen = set()
    for epoch in range(60):
        rows.set_epoch(epoch)
        row = rows[0]
        window = [*row["items"].tolist(), int(row["labels"][-1])]
        assert row["labels"].tolist() == window[1:]
        assert rows[0]["items"].tolist() == row["items"].tolist()
        places = [i for i in range(len(whole) - 5) if whole[i : i + 6] == window]
        assert places
        seen.update(places)
    assert seen == set(range(len(history) - 5))


def test_batches_are_padded_on_the_right(letters_log: Callable[..., InteractionLog]) -> None:
    rows = ItemSequences(ITEMS, letters_log("abcd", "ca"))
    batch = collate_items([rows[1], rows[0]])
    assert batch["items"].tolist() == [[2, 0, 0], [0, 1, 2]]
    assert batch["labels"].tolist() == [[0, NOTHING, NOTHING], [1, 2, 3]]


def test_nothing_to_learn_is_an_error(letters_log: Callable[..., InteractionLog]) -> None:
    with pytest.raises(DataError, match="none with 2 items"):
        ItemSequences(ITEMS, letters_log("a", "xyz"))
    assert np.array(ItemSequences(ITEMS, letters_log("ab"))[0]["items"]).dtype == np.int64
