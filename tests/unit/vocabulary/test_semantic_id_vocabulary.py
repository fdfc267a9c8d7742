"""Codes and tokens map one to one, and no text can turn into a reserved token."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from genrec.errors import VocabularyError
from genrec.semantic_ids import SemanticIdSpec
from genrec.vocabulary import SemanticIdVocabulary, train_text_tokenizer

SPEC = SemanticIdSpec((3, 2))
TEXT_TOKENIZER = train_text_tokenizer(["shampoo for dry hair", "a_1 <a_1> <b_0>"], vocab_size=300)
VOCABULARY = SemanticIdVocabulary.extend(TEXT_TOKENIZER, SPEC)
SPECIAL = ["<a_0>", "<b_1>", "<id_end>", "<u1_5>", "<|bos|>", "<|eos|>", "<|pad|>", "<a_999>", "<"]

hostile = st.lists(st.text(max_size=8) | st.sampled_from(SPECIAL), max_size=6).map("".join)


def test_every_code_of_every_position_has_a_token_of_its_own() -> None:
    names = TEXT_TOKENIZER.convert_ids_to_tokens(np.concatenate(VOCABULARY.token_ids).tolist())
    assert names == ["<a_0>", "<a_1>", "<a_2>", "<b_0>", "<b_1>"]
    assert len(VOCABULARY.reserved_ids) == 5 + 1 + 3 * 64
    assert set(TEXT_TOKENIZER.convert_ids_to_tokens(VOCABULARY.user_token_ids[0][:2].tolist())) == {
        "<u1_0>",
        "<u1_1>",
    }


def test_codes_survive_the_way_to_tokens_and_back() -> None:
    codes = np.array([[[0, 1], [2, 0]]])
    assert VOCABULARY.decode(VOCABULARY.encode(codes)).tolist() == codes.tolist()


@pytest.mark.parametrize("codes", [[[3, 0]], [[-1, 0]], [[0]], [[0, 0, 0]]])
def test_codes_of_another_spec_are_refused(codes: list[list[int]]) -> None:
    with pytest.raises(VocabularyError, match="no Semantic IDs of this vocabulary"):
        VOCABULARY.encode(np.array(codes))


@pytest.mark.parametrize("position", [0, 1])
def test_tokens_out_of_their_position_are_refused(position: int) -> None:
    ids = VOCABULARY.encode(np.array([0, 1]))
    ids[position] = VOCABULARY.token_ids[1 - position][0]
    with pytest.raises(VocabularyError, match="out of its position"):
        VOCABULARY.decode(ids)
    for stranger in (-1, 10**9):
        ids[position] = stranger
        with pytest.raises(VocabularyError, match="out of its position"):
            VOCABULARY.decode(ids)


@given(hostile)
@example("".join(SPECIAL))
def test_no_text_ever_yields_a_reserved_token(text: str) -> None:
    ids = VOCABULARY.encode_text(TEXT_TOKENIZER, text)
    assert not set(ids) & set(VOCABULARY.reserved_ids.tolist())
    assert not set(ids) & set(TEXT_TOKENIZER.all_special_ids)
    assert TEXT_TOKENIZER.decode(ids) == text.encode("utf-8", "replace").decode()


def test_a_text_tokenizer_that_smuggles_is_caught() -> None:
    class Careless:
        all_special_ids: tuple[int, ...] = ()
        unk_token_id = None
        added_tokens_decoder: ClassVar[dict[int, object]] = {}

        def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
            return {"input_ids": [[int(VOCABULARY.token_ids[0][1])] for _ in texts]}

        def convert_ids_to_tokens(self, token_id: int) -> str:
            return TEXT_TOKENIZER.convert_ids_to_tokens(token_id)

    with pytest.raises(VocabularyError, match=r"reserved token\nreceived: token '<a_1>'"):
        VOCABULARY.encode_text(Careless(), "<a_1>")  # type: ignore[arg-type]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    VOCABULARY.save(tmp_path)
    again = SemanticIdVocabulary.load(tmp_path)
    assert again.fingerprint() == VOCABULARY.fingerprint()
    assert again.decode(VOCABULARY.encode(np.array([2, 1]))).tolist() == [2, 1]
    TEXT_TOKENIZER.save_pretrained(tmp_path)
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert SemanticIdVocabulary.from_text_tokenizer(loaded, SPEC).fingerprint() == VOCABULARY.fingerprint()
    assert not set(VOCABULARY.encode_text(loaded, "".join(SPECIAL))) & set(VOCABULARY.reserved_ids.tolist())


def test_extending_twice_changes_nothing() -> None:
    before = len(TEXT_TOKENIZER)
    assert SemanticIdVocabulary.extend(TEXT_TOKENIZER, SPEC).fingerprint() == VOCABULARY.fingerprint()
    assert len(TEXT_TOKENIZER) == before


def test_a_text_tokenizer_without_the_tokens_is_refused() -> None:
    with pytest.raises(VocabularyError, match=r"lacks reserved tokens\nreceived: 198 missing"):
        SemanticIdVocabulary.from_text_tokenizer(train_text_tokenizer(["x"], 260), SPEC)


def test_token_ids_that_do_not_fit_are_refused() -> None:
    with pytest.raises(VocabularyError, match="do not fit"):
        SemanticIdVocabulary(SPEC, [np.arange(3), np.arange(3, 6)], 9, [])
    with pytest.raises(VocabularyError, match="share one token id"):
        SemanticIdVocabulary(SPEC, [np.arange(3), np.arange(2, 4)], 9, [])


@given(st.data())
def test_a_damaged_file_gives_a_clean_error_or_the_same_vocabulary(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("vocabulary")
    VOCABULARY.save(folder)
    facts = json.loads((folder / "vocabulary.json").read_text())
    key = data.draw(st.sampled_from(sorted(facts)))
    facts[key] = data.draw(st.none() | st.integers() | st.text(max_size=3) | st.lists(st.none(), max_size=2))
    (folder / "vocabulary.json").write_text(json.dumps(facts))
    with contextlib.suppress(VocabularyError):  # nothing else may be raised
        loaded = SemanticIdVocabulary.load(folder)
        assert loaded.spec == SPEC  # another terminator, or no user codes, is a vocabulary too
