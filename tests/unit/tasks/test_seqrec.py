"""Packed seqrec: one row a user, windows of long histories, pure in (seed, epoch, index)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.tasks import PromptBuilder, SeqRec, TaskMixture, TokenRows


def catalog_of(tiny: Any) -> Catalog:
    return Catalog([f"i{row}" for row in range(len(tiny.codes))], tiny.codes, tiny.vocabulary.spec)


def log_of(lengths: list[int], num_items: int = 30) -> InteractionLog:
    rng = np.random.default_rng(5)
    return InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": f"i{rng.integers(num_items)}", "timestamp": time}
        for user, length in enumerate(lengths)
        for time in range(length)
    )


def test_rows_are_the_users_histories_in_order(tiny: Any) -> None:
    catalog, log = catalog_of(tiny), log_of([3, 1, 5, 2])
    task = SeqRec.from_log(catalog, log, max_history=10)
    assert len(task) == 3
    assert task.num_targets == 2 + 4 + 1
    rng = np.random.default_rng(0)
    expected = [catalog.rows(log.history(user)).tolist() for user in ("u0", "u2", "u3")]
    assert [task.window(index, rng).tolist() for index in range(3)] == expected


def test_long_histories_give_every_window_in_time_and_never_a_longer_one(tiny: Any) -> None:
    catalog, log = catalog_of(tiny), log_of([12])
    task = SeqRec.from_log(catalog, log, max_history=4)
    whole = catalog.rows(log.history("u0")).tolist()
    seen = {tuple(task.window(0, np.random.default_rng(seed)).tolist()) for seed in range(300)}
    assert seen == {tuple(whole[start : start + 5]) for start in range(8)}
    assert task.num_targets == 4


def test_a_row_is_a_function_of_seed_epoch_and_index_alone(tiny: Any) -> None:
    catalog, log = catalog_of(tiny), log_of([30, 25, 28, 40])
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary, max_history=6)

    def rows(seed: int, epoch: int, order: list[int]) -> dict[int, list[int]]:
        reader = TokenRows(TaskMixture.seqrec(catalog, log, max_history=6, seed=seed), builder)
        reader.set_epoch(epoch)
        return {index: reader[index]["input_ids"].tolist() for index in order}

    assert rows(1, 2, [0, 1, 2, 3]) == rows(1, 2, [3, 1, 0, 2, 2])
    assert rows(1, 2, [0, 1, 2, 3]) != rows(1, 3, [0, 1, 2, 3])
    assert rows(1, 2, [0, 1, 2, 3]) != rows(2, 2, [0, 1, 2, 3])


def test_a_mixture_joins_its_tasks_end_to_end(tiny: Any) -> None:
    catalog = catalog_of(tiny)
    first, second = (SeqRec.from_log(catalog, log_of(lengths)) for lengths in ([3, 4], [5, 2, 2]))
    mixture = TaskMixture(catalog, [first, second])
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary)
    assert len(mixture) == 5
    assert mixture.num_targets == 2 + 3 + 4 + 1 + 1
    rng = np.random.default_rng(0)
    assert mixture.row(2, 0, builder)["input_ids"].tolist() == second.row(0, rng, builder)[0].tolist()
    assert mixture.row(1, 0, builder)["labels"].tolist() == first.row(1, rng, builder)[1].tolist()


def test_nothing_to_learn_from_is_an_error(tiny: Any) -> None:
    with pytest.raises(DataError, match="no user has a next item"):
        SeqRec.from_log(catalog_of(tiny), log_of([1, 1]))
    with pytest.raises(DataError, match="a mixture needs a task"):
        TaskMixture(catalog_of(tiny), [])
