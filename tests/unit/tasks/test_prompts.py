"""One builder for training and serving: a target stands behind exactly the prompt that serving builds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from genrec.errors import PromptError
from genrec.tasks import IGNORED_LABEL, PromptBuilder


def test_a_prompt_is_the_start_token_and_the_newest_items(tiny: Any) -> None:
    builder = PromptBuilder(tiny.vocabulary, bos_token_id=1, pad_token_id=0, max_history=2)
    codes = tiny.codes[:4]
    expected = [1, *tiny.vocabulary.encode(codes[2:]).reshape(-1).tolist()]
    assert builder.history(codes).tolist() == expected
    assert builder.history(codes[:0]).tolist() == [1]


@given(st.integers(1, 6), st.data())
def test_every_target_stands_behind_the_prompt_of_serving(
    tiny: Any, max_history: int, data: st.DataObject
) -> None:
    builder = PromptBuilder(tiny.vocabulary, bos_token_id=1, pad_token_id=0, max_history=max_history)
    rows = data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=max_history + 1))
    codes = tiny.codes[rows]
    ids, labels = builder.next_items(codes)
    length = tiny.vocabulary.spec.length
    for item in range(len(rows)):
        end = 1 + item * length
        target = slice(end, end + length)
        assert ids[:end].tolist() == builder.history(codes[:item]).tolist()
        assert ids[target].tolist() == tiny.vocabulary.encode(codes[item]).tolist()
        learned = labels[target].tolist()
        assert learned == (ids[target].tolist() if item else [IGNORED_LABEL] * length)
    assert labels[0] == IGNORED_LABEL


def test_batches_are_padded_on_the_left(tiny: Any) -> None:
    builder = PromptBuilder(tiny.vocabulary, bos_token_id=1, pad_token_id=0)
    ids, mask = builder.batch([tiny.codes[:1], tiny.codes[:3], tiny.codes[:0]])
    assert ids.shape == mask.shape == (3, 10)
    for row, items in enumerate((1, 3, 0)):
        assert ids[row][mask[row] == 1].tolist() == builder.history(tiny.codes[:items]).tolist()
        assert (ids[row][mask[row] == 0] == 0).all()
        assert mask[row].tolist() == sorted(mask[row].tolist())


def test_rows_longer_than_any_prompt_and_no_room_are_refused(tiny: Any) -> None:
    builder = PromptBuilder(tiny.vocabulary, bos_token_id=1, pad_token_id=0, max_history=2)
    with pytest.raises(PromptError, match="longer than any prompt"):
        builder.next_items(tiny.codes[:4])
    with pytest.raises(PromptError, match="room for an item"):
        PromptBuilder(tiny.vocabulary, bos_token_id=1, pad_token_id=0, max_history=0)


def test_the_start_token_is_the_text_tokenizers_or_its_end_token(tiny: Any) -> None:
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary)
    assert builder.bos_token_id == tiny.text_tokenizer.bos_token_id
    without = PreTrainedTokenizerFast(
        tokenizer_object=tiny.text_tokenizer.backend_tokenizer, eos_token="<|eos|>"
    )
    with pytest.raises(PromptError, match="lacks a start or a padding token"):
        PromptBuilder.for_tokenizer(without, tiny.vocabulary)
    without.pad_token = "<|pad|>"
    assert PromptBuilder.for_tokenizer(without, tiny.vocabulary).bos_token_id == without.eos_token_id


def test_codes_never_become_padding(tiny: Any) -> None:
    assert not np.isin(tiny.vocabulary.reserved_ids, [0, 1, 2]).any()
