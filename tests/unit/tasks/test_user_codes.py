"""User codes in prompts: in front of the history, made of it alone, the same in training and in serving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from genrec.errors import PromptError, VocabularyError
from genrec.quantization import ResidualKMeans
from genrec.semantic_ids import USER_CODEBOOK_SIZES, UserTokenizer
from genrec.tasks import IGNORED_LABEL, TaskMixture, load_templates
from genrec.vocabulary.semantic_id_vocabulary import user_token


@pytest.fixture(scope="module")
def plain(make_world: Callable[..., Any]) -> Any:
    return make_world(chat=False)


@pytest.fixture(scope="module")
def users(plain: Any) -> UserTokenizer:
    rng = np.random.default_rng(0)
    books = [rng.normal(size=(size, 4)) for size in plain.catalog.spec.codebook_sizes]
    histories = [plain.catalog.codes[rng.integers(24, size=n % 6 + 1)] for n in range(70)]
    return UserTokenizer(books, ResidualKMeans(3, 64, iterations=3)).fit(histories)


def test_every_row_carries_the_codes_of_its_own_history(plain: Any, users: UserTokenizer) -> None:
    builder = plain.builder(prompted=False, user_tokenizer=users, max_history=4)
    bare = plain.builder(prompted=False, max_history=4)
    mixture = TaskMixture.seqrec(
        plain.catalog, plain.log, form="prefixes", max_history=4, user_tokenizer=users
    )
    assert mixture.user_tokenizer is users
    task = mixture.tasks[0]
    for index in range(len(task)):
        codes = plain.catalog.codes[task.window(index)]
        ids, labels = task.row(index, np.random.default_rng(0), builder)
        without, _ = task.row(index, np.random.default_rng(0), bare)
        expected = plain.vocabulary.encode_user(users.encode(codes[:-1]))
        assert ids[1:4].tolist() == expected.tolist()
        assert np.delete(ids, [1, 2, 3]).tolist() == without.tolist()
        # serving: the same prompt of the same history, and nothing of the target in it
        np.testing.assert_array_equal(builder.history(codes[:-1]), ids[:-3])
        assert labels.tolist() == [IGNORED_LABEL] * (len(ids) - 3) + ids[-3:].tolist()


def test_a_prompt_without_a_history_has_no_user_codes(plain: Any, users: UserTokenizer) -> None:
    builder = plain.builder(prompted=False, user_tokenizer=users)
    assert len(builder.history(plain.catalog.codes[:0])) == 1
    ids, mask = builder.batch([plain.catalog.codes[:0], plain.catalog.codes[:2]])
    assert mask.sum(axis=1).tolist() == [1, 1 + 3 + 6]
    assert plain.decoded(ids[1]).startswith(plain.decoded(builder.history(plain.catalog.codes[:2]))[:5])


def test_where_user_codes_would_give_the_target_away_they_are_refused(
    plain: Any, users: UserTokenizer
) -> None:
    builder = plain.builder(prompted=False, user_tokenizer=users)
    with pytest.raises(PromptError, match="packed rows cannot carry user codes"):
        builder.next_items(plain.catalog.codes[:3])
    with pytest.raises(PromptError, match="without words"):
        plain.builder(user_tokenizer=users)
    assert load_templates("seqrec")["next_item"].training


def test_user_codes_have_tokens_of_their_own(plain: Any) -> None:
    ids = plain.vocabulary.encode_user(np.array([0, 63, 5]))
    assert plain.text_tokenizer.convert_ids_to_tokens(ids.tolist()) == [
        user_token(position, code) for position, code in enumerate((0, 63, 5))
    ]
    assert USER_CODEBOOK_SIZES == (64, 64, 64)
    for wrong in (np.array([0, 64, 0]), np.array([0, 0]), np.array([-1, 0, 0])):
        with pytest.raises(VocabularyError, match="no user codes"):
            plain.vocabulary.encode_user(wrong)
