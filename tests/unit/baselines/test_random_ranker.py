"""The random floor: seeded, uniform, without repeats."""

from __future__ import annotations

import numpy as np

from genrec.baselines import RandomRanker


def test_a_history_always_gets_the_same_list_and_another_seed_another_one(item_ids: list[str]) -> None:
    histories = [[], [item_ids[0]], [item_ids[1]]]
    one, again = (RandomRanker(item_ids, seed=3).rank(histories, 10)[0] for _ in range(2))
    assert one.tolist() == again.tolist()
    assert len({tuple(row) for row in one}) == 3
    assert RandomRanker(item_ids, seed=4).rank(histories, 10)[0].tolist() != one.tolist()


def test_lists_hold_every_item_once(item_ids: list[str]) -> None:
    items, _ = RandomRanker(item_ids).rank([[], [item_ids[0]]], 40)
    assert all(sorted(row) == sorted(item_ids) for row in items)


def test_a_shorter_list_is_the_head_of_a_longer_one(item_ids: list[str]) -> None:
    ranker = RandomRanker(item_ids)
    assert ranker.rank([["x"]], 40)[0][0, :7].tolist() == ranker.rank([["x"]], 7)[0][0].tolist()


def test_every_item_is_as_likely_to_come_first(item_ids: list[str]) -> None:
    histories = [[first, second] for first in item_ids for second in item_ids]
    items, _ = RandomRanker(item_ids, seed=1).rank(histories, 1)
    counts = np.array([(items == item).sum() for item in item_ids])
    # chi-square with 39 degrees of freedom: mean 39, standard deviation 8.8
    assert ((counts - 40) ** 2 / 40).sum() < 39 + 4 * 8.8
