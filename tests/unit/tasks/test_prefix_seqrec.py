"""A row for every prefix: each interaction but a user's first is a target once, behind its own prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.tasks import PrefixSeqRec, PromptBuilder, Sequences, TaskMixture, TokenRows


def catalog_of(tiny: Any) -> Catalog:
    return Catalog([f"i{row}" for row in range(len(tiny.codes))], tiny.codes, tiny.vocabulary.spec)


def log_of(lengths: list[int]) -> InteractionLog:
    rng = np.random.default_rng(5)
    return InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": f"i{rng.integers(30)}", "timestamp": time}
        for user, length in enumerate(lengths)
        for time in range(length)
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 6))
def test_every_prefix_of_every_user_is_a_row_once(lengths: list[int], max_history: int) -> None:
    rows = np.arange(sum(lengths), dtype=np.int32)
    sequences = Sequences(rows, np.cumsum([0, *lengths]), rows)
    expected, begin = [], 0
    for length in lengths:
        for place in range(1, length):
            expected.append(rows[begin : begin + length][max(0, place - max_history) : place + 1].tolist())
        begin += length
    if not expected:
        with pytest.raises(DataError, match="no user has a next item"):
            PrefixSeqRec(np.zeros((1, 3), dtype=np.int32), sequences, max_history=max_history)
        return
    task = PrefixSeqRec(np.zeros((1, 3), dtype=np.int32), sequences, max_history=max_history)
    assert [task.window(index).tolist() for index in range(len(task))] == expected
    assert task.num_targets == len(task) == len(expected)


def test_a_row_is_the_prompt_of_serving_with_the_target_behind_it(tiny: Any) -> None:
    catalog, log = catalog_of(tiny), log_of([3, 1, 7, 2])
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary, max_history=4)
    task = PrefixSeqRec.from_log(catalog, log, max_history=4)
    found = [task.row(index, np.random.default_rng(0), builder) for index in range(len(task))]
    expected = []
    for user in ("u0", "u2", "u3"):
        codes = catalog.codes[catalog.rows(log.history(user))]
        expected += [
            (builder.history(codes[:n]), tiny.vocabulary.encode(codes[n])) for n in range(1, len(codes))
        ]
    for (ids, labels), (prompt, target) in zip(found, expected, strict=True):
        assert ids.tolist() == [*prompt, *target]
        assert labels.tolist() == [-100] * len(prompt) + target.tolist()


def test_rows_do_not_change_with_the_epoch_and_held_out_items_never_come(tiny: Any) -> None:
    catalog, log = catalog_of(tiny), log_of([9, 8, 7])
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary)
    held_out = {log.history("u0")[3], log.history("u2")[0]}
    task = PrefixSeqRec.from_log(catalog, log, held_out=held_out)
    reader = TokenRows(TaskMixture(catalog, [task]), builder)
    hidden = {tuple(tiny.vocabulary.encode(catalog.codes[catalog.rows([item])[0]])) for item in held_out}
    for index in range(len(reader)):
        reader.set_epoch(0)
        first = reader[index]["input_ids"]
        reader.set_epoch(4)
        assert reader[index]["input_ids"].tolist() == first.tolist()
        assert not hidden & {tuple(item) for item in first[1:].reshape(-1, 3)}
