"""Successor vectors against the transitions counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from genrec.data import InteractionLog, SyntheticWorld
from genrec.embeddings import successor_vectors
from genrec.errors import ConfigError


def test_halves_multiply_to_the_weighted_transitions(letters_log: Callable[..., InteractionLog]) -> None:
    items = list("abcdef")
    table = successor_vectors(
        letters_log("abc", "abd", "ca", "xab"), items, dim=5, gaps=(1.0, 0.5), shrinkage=1.0
    )
    counts = {
        ("a", "b"): 3.0,
        ("b", "c"): 1.0,
        ("b", "d"): 1.0,
        ("a", "c"): 0.5,
        ("a", "d"): 0.5,
        ("c", "a"): 1.0,
    }
    left, entered = ({item: 0.0 for item in items} for _ in range(2))
    for (before, after), count in counts.items():
        left[before] += count
        entered[after] += count
    vectors = {item: table.vectors_for([item])[0].astype(np.float64) for item in items}
    for before in items:
        for after in items:
            expected = counts.get((before, after), 0.0) / (np.sqrt(left[before] * entered[after]) + 1)
            assert vectors[before][:5] @ vectors[after][5:] == pytest.approx(expected, abs=1e-5)
    assert not vectors["e"].any()


def test_the_same_log_gives_the_same_vectors_whatever_the_order_of_the_ids(
    letters_log: Callable[..., InteractionLog],
) -> None:
    rows = letters_log("abcd", "bcda", "dcab")
    one, two = (successor_vectors(rows, ids, dim=2) for ids in ("abcd", "dbca"))
    assert one.item_ids == two.item_ids
    np.testing.assert_array_equal(one.vectors, two.vectors)


def test_the_same_log_gives_the_same_vectors_in_every_call() -> None:
    log = SyntheticWorld.generate(num_items=50, num_users=60).interactions
    once, again = (successor_vectors(log, log.item_ids, dim=len(log.item_ids) - 1) for _ in range(2))
    np.testing.assert_array_equal(once.vectors, again.vectors)


@pytest.mark.parametrize(
    "wrong", [{"dim": 4}, {"dim": 0}, {"dim": 2, "gaps": ()}, {"dim": 2, "shrinkage": -1}]
)
def test_what_cannot_be_done_is_refused(
    wrong: dict[str, object], letters_log: Callable[..., InteractionLog]
) -> None:
    with pytest.raises(ConfigError):
        successor_vectors(letters_log("abcd"), "abcd", **wrong)
