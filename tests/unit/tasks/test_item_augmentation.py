"""Other readings of a history: what each option does, and that nothing happens by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.data import InteractionLog
from genrec.errors import ConfigError
from genrec.tasks import ItemAugmentation, ItemNeighbours, ItemSequences
from genrec.tasks.item_sequences import collate_items

WINDOW = np.arange(10, 20)
# two tight groups of three items each
VECTORS = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_nothing_asked_for_changes_nothing() -> None:
    items, labels = ItemAugmentation().apply(WINDOW, rng())
    assert items.tolist() == WINDOW[:-1].tolist()
    assert labels.tolist() == WINDOW[1:].tolist()


def test_backwards() -> None:
    both = {ItemAugmentation(reverse=0.5).apply(WINDOW, rng(seed))[1][0] for seed in range(20)}
    assert both == {WINDOW[1], WINDOW[-2]}
    rows = [ItemAugmentation(reverse=0.5).apply(WINDOW, rng(seed)) for seed in range(4)]
    batch = collate_items([{"items": items, "labels": labels} for items, labels in rows])
    assert batch["items"].shape == (4, 9)


@given(seed=st.integers(0, 2**32 - 1), length=st.integers(2, 12), share=st.floats(0.01, 0.99))
def test_crops_and_left_out_items_leave_an_ordered_part_of_two_or_more(
    seed: int, length: int, share: float
) -> None:
    window = np.arange(length)
    augmentation = ItemAugmentation(crop=share, item_dropout=share)
    items, labels = augmentation.apply(window, rng(seed))
    row = [*items.tolist(), int(labels[-1])]
    assert len(row) >= 2
    assert row == sorted(set(row))
    assert labels.tolist() == row[1:]
    again = augmentation.apply(window, rng(seed))
    assert again[0].tolist() == items.tolist()


def test_far_targets_stand_one_to_four_items_ahead() -> None:
    ahead = []
    for seed in range(200):
        items, labels = ItemAugmentation(far_targets=0.9).apply(WINDOW, rng(seed))
        ahead += (labels - items).tolist()
    assert set(ahead) == {1, 2, 3, 4}


def test_soft_targets_and_inputs_are_neighbours() -> None:
    neighbours = ItemNeighbours.of(VECTORS, count=2)
    window = np.array([0, 3, 1, 4, 2, 5] * 3)
    soft = ItemAugmentation(soft_targets=0.5, neighbours=neighbours)
    items, labels = soft.apply(window, rng())
    assert items.tolist() == window[:-1].tolist()
    changed = labels != window[1:]
    assert 0 < changed.sum() < len(labels)
    assert (labels // 3 == window[1:] // 3).all()
    items, labels = ItemAugmentation(soft_inputs=0.5, neighbours=neighbours).apply(window, rng())
    assert labels.tolist() == window[1:].tolist()
    assert (items != window[:-1]).any()
    assert (items // 3 == window[:-1] // 3).all()


def test_nearer_neighbours_are_drawn_more_often_and_never_the_item_itself() -> None:
    drawn = ItemNeighbours.of(VECTORS, count=5, power=4).draw(np.zeros(4000, dtype=np.int64), rng())
    counts = np.bincount(drawn, minlength=6)
    assert counts[0] == 0
    assert counts[1] > counts[2] > 10 * counts[3:].max()


def test_rows_of_an_epoch_are_a_function_of_seed_epoch_and_row() -> None:
    log = InteractionLog.from_rows(
        {"user_id": "u", "item_id": item, "timestamp": time} for time, item in enumerate("abcdefgh")
    )
    rows = ItemSequences(list("abcdefgh"), log, seed=1, augmentation=ItemAugmentation(item_dropout=0.4))
    seen = []
    for epoch in range(5):
        rows.set_epoch(epoch)
        seen.append(rows[0]["items"].tolist())
        assert rows[0]["items"].tolist() == seen[-1]
    assert len({tuple(row) for row in seen}) > 1


@pytest.mark.parametrize(
    "wrong",
    [{"crop": 1.0}, {"reverse": -0.1}, {"soft_targets": 0.2}, {"soft_inputs": 0.2}],
)
def test_what_cannot_be_done_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ItemAugmentation(**wrong)


def test_neighbours_need_two_items() -> None:
    with pytest.raises(ConfigError, match="1 items"):
        ItemNeighbours.of(np.ones((1, 3)))
