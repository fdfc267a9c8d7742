"""Preferences: what is rejected is real, was never taken, and comes from the ranker where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.semantic_ids import SemanticIdSpec
from genrec.tasks import PreferencePairs, PromptBuilder
from genrec.vocabulary import SemanticIdVocabulary, train_text_tokenizer

ITEMS = [f"i{row:02d}" for row in range(12)]


@pytest.fixture
def catalog() -> Catalog:
    codes = np.array([(row // 4, row % 4) for row in range(len(ITEMS))])
    return Catalog(ITEMS, codes, SemanticIdSpec((4, 4)))


def log_of(users: dict[str, Sequence[int]]) -> InteractionLog:
    return InteractionLog.from_rows(
        {"user_id": user, "item_id": ITEMS[row], "timestamp": place}
        for user, rows in users.items()
        for place, row in enumerate(rows)
    )


LOG = log_of({"a": [0, 1, 2, 3], "b": [4, 5, 6], "c": [7, 8, 9, 10, 11, 7], "d": [3]})


def numbers(catalog: Catalog, rows: np.ndarray) -> list[int]:
    """Numbers of the items in catalog rows."""
    return [ITEMS.index(catalog.item_ids[row]) for row in rows.ravel().tolist()]


class Best:
    """Lists all items in one order, whatever the history."""

    name = "best"

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        items = np.full((len(histories), k), "", dtype=object)
        items[:, : len(ITEMS)] = ITEMS[:k]
        return items, np.zeros(items.shape, dtype=np.float32)


@pytest.mark.parametrize("ranker", [None, Best()])
def test_rejected_items_are_real_distinct_and_were_never_taken(catalog: Catalog, ranker: Best | None) -> None:
    pairs = PreferencePairs.from_log(catalog, LOG, num_rejected=4, ranker=ranker)
    assert len(pairs) == 3  # d has no next item
    logs = {0: [0, 1, 2, 3], 4: [4, 5, 6], 7: [7, 8, 9, 10, 11, 7]}
    for row in range(3):
        history = numbers(catalog, pairs.histories[row])
        rejected = numbers(catalog, pairs.rejected[row])
        taken = logs[history[0]]
        assert len(set(rejected)) == 4
        assert not set(rejected) & set(taken)
        assert [*history, *numbers(catalog, pairs.chosen[row : row + 1])] == taken[: len(history) + 1]


def test_the_best_wrong_items_of_a_ranker_come_first(catalog: Catalog) -> None:
    pairs = PreferencePairs.from_log(catalog, LOG, num_rejected=3, ranker=Best())
    assert [numbers(catalog, row) for row in pairs.rejected] == [[4, 5, 6], [0, 1, 2], [0, 1, 2]]
    short = PreferencePairs.from_log(catalog, LOG, num_rejected=3, ranker=Best(), depth=2)
    assert numbers(catalog, short.rejected[1, :2]) == [0, 1]  # the third is drawn


def test_items_held_out_are_in_no_row_and_the_seed_decides(catalog: Catalog) -> None:
    one, same, other = (
        PreferencePairs.from_log(catalog, LOG, num_rejected=2, held_out=["i01", "i08"], seed=seed)
        for seed in (0, 0, 1)
    )
    named = np.concatenate([one.chosen, one.rejected.ravel(), *one.histories])
    assert not {*numbers(catalog, named)} & {1, 8}
    assert np.array_equal(one.rejected, same.rejected)
    assert not np.array_equal(one.rejected, other.rejected)


def test_a_row_is_what_serving_asks_and_the_items_ids(catalog: Catalog) -> None:
    text_tokenizer = train_text_tokenizer(["a few words"])
    vocabulary = SemanticIdVocabulary.extend(text_tokenizer, catalog.spec)
    builder = PromptBuilder.for_tokenizer(text_tokenizer, vocabulary)
    pairs = PreferencePairs(catalog, [np.array([0, 5])], np.array([7]), np.array([[8, 9]]))
    row = pairs.row(0, builder)
    assert row["prompt_ids"].tolist() == builder.history(catalog.codes[[0, 5]]).tolist()
    assert row["chosen_ids"].tolist() == vocabulary.encode(catalog.codes[7]).tolist()
    assert row["rejected_ids"].tolist() == vocabulary.encode(catalog.codes[[8, 9]]).tolist()


@pytest.mark.parametrize(
    ("chosen", "rejected", "told"),
    [
        ([1], [[1]], "chosen and rejected"),
        ([1, 2], [[3]], "for every history"),
        ([1], np.empty((1, 0), dtype=int), "nothing is rejected"),
    ],
)
def test_rows_that_say_nothing_are_refused(
    catalog: Catalog, chosen: object, rejected: object, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        PreferencePairs(catalog, [np.array([0])], np.array(chosen), np.array(rejected))


def test_more_rejected_items_than_there_are_is_refused(catalog: Catalog) -> None:
    with pytest.raises(DataError, match=r"too few items to reject(.|\n)*set num_rejected to at most 7$"):
        PreferencePairs.from_log(catalog, LOG, num_rejected=9)
    assert PreferencePairs.from_log(catalog, LOG, num_rejected=7).rejected.shape == (3, 7)  # of every user
    with pytest.raises(DataError, match="leave out users who had all"):
        PreferencePairs.from_log(catalog, log_of({"a": range(12)}), num_rejected=1)
