"""Cross-fitting: nobody's own history stands behind the list that answers for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from genrec.baselines import MarkovKNN, cross_fitted_lists
from genrec.data import InteractionLog
from genrec.errors import DataError

ITEMS = list("abcdef")


class Asked:
    """Names the last item; remembers who it was made from and what it was asked."""

    name = "asked"

    def __init__(self, train: InteractionLog, seen: list[tuple[set[str], list[tuple[str, ...]]]]) -> None:
        self.questions: list[tuple[str, ...]] = []
        seen.append((set(train.user_ids), self.questions))

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        self.questions += [tuple(history) for history in histories]
        items = np.full((len(histories), k), "", dtype=object)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        items[:, 0], scores[:, 0] = [history[-1] for history in histories], 0.0
        items[:, 1], scores[:, 1] = "f", np.log(1 / 3)
        return items, scores


def test_every_prefix_is_asked_once_of_a_ranker_that_does_not_know_its_user(
    letters_log: Callable[..., InteractionLog],
) -> None:
    histories = {"u0": "abc", "u1": "bcd", "u2": "cdea", "u3": "e", "u4": "dab"}
    train = letters_log(*histories.values())
    seen: list[tuple[set[str], list[tuple[str, ...]]]] = []
    rows, shares = cross_fitted_lists(lambda others: Asked(others, seen), train, ITEMS, k=3, folds=3)
    prefixes = {tuple(h[:n]): user for user, h in histories.items() for n in range(1, len(h))}
    assert len(seen) == 3
    assert sorted(question for _, questions in seen for question in questions) == sorted(prefixes)
    for known, questions in seen:
        assert not known & {prefixes[question] for question in questions}
    whole = "".join(histories.values())
    last = np.cumsum([len(h) for h in histories.values()]) - 1
    for position, item in enumerate(whole):
        if position in last:
            assert not shares[position].any()
        else:
            assert rows[position, :2].tolist() == [ITEMS.index(item), 5]
            np.testing.assert_allclose(shares[position], [0.75, 0.25, 0.0], atol=1e-6)


def test_a_transition_that_one_user_alone_made_is_not_found_for_that_user(
    letters_log: Callable[..., InteractionLog],
) -> None:
    train = letters_log("ab", "cd", "cd", "cd", "cd")
    rows, shares = cross_fitted_lists(
        lambda others: MarkovKNN(others, ITEMS, shrinkage=0.0), train, ITEMS, k=1, folds=5
    )
    assert rows[2, 0] == ITEMS.index("d")  # three others went the same way
    assert rows[0, 0] != ITEMS.index("b")
    assert shares[0, 0] == 1


def test_long_histories_are_cut_and_bad_settings_refused(letters_log: Callable[..., InteractionLog]) -> None:
    seen: list[tuple[set[str], list[tuple[str, ...]]]] = []
    cross_fitted_lists(
        lambda others: Asked(others, seen), letters_log("abcdef", "ab"), ITEMS, k=2, folds=2, max_history=2
    )
    assert {len(question) for _, questions in seen for question in questions} == {1, 2}
    for options in ({"folds": 1}, {"k": 0}):
        with pytest.raises(DataError, match="two folds"):
            cross_fitted_lists(lambda others: Asked(others, seen), letters_log("ab", "ab"), ITEMS, **options)
