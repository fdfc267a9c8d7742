"""No text becomes a reserved, special or added token, and nothing else of it is lost."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from genrec.semantic_ids import SemanticIdSpec
from genrec.vocabulary import SemanticIdVocabulary, UntrustedTextEncoder, train_text_tokenizer

TEXT_TOKENIZER = train_text_tokenizer(["think of dry hair"], vocab_size=300)
TEXT_TOKENIZER.add_tokens(["<think>", "\n\n", "€"])  # not flagged special
VOCABULARY = SemanticIdVocabulary.extend(TEXT_TOKENIZER, SemanticIdSpec((3, 2)))
ENCODER = UntrustedTextEncoder(TEXT_TOKENIZER, VOCABULARY.reserved_ids.tolist())
SPECIAL = ["<think>", "<a_1>", "<id_end>", "<u1_5>", "<|eos|>", "€", "\n\n"]
hostile = st.lists(st.text(max_size=6) | st.sampled_from(SPECIAL), max_size=6).map("".join)


@given(st.lists(hostile, max_size=4))
@example(["<thi<think>nk><think>", "<a_1>"])
def test_no_text_becomes_a_reserved_or_added_token(texts: list[str]) -> None:
    added = {i for token, i in TEXT_TOKENIZER.get_added_vocab().items() if token not in ("\n\n", "€")}
    for text, ids in zip(texts, ENCODER.encode_all(texts), strict=True):
        assert not added & set(ids)
        assert TEXT_TOKENIZER.decode(ids) == text.encode("utf-8", "replace").decode()
        assert ENCODER.encode(text) == ids


def test_added_blanks_and_single_characters_are_plain_text() -> None:
    assert ENCODER.encode("\n\n") == [TEXT_TOKENIZER.convert_tokens_to_ids("\n\n")]
    assert ENCODER.encode("€") == [TEXT_TOKENIZER.convert_tokens_to_ids("€")]


@pytest.mark.parametrize("text", ["</s>", "a</s>", "ab</s>ba"])
def test_a_unigram_model_that_knows_its_end_token_as_a_piece_emits_it_for_no_text(text: str) -> None:
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((c, -3.0) for c in "abs</>")]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.Unigram(pieces, unk_id=0)), unk_token="<unk>", eos_token="</s>"
    )
    smuggled = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.eos_token_id in smuggled  # the fault that the encoder is there for
    ids = UntrustedTextEncoder(tokenizer, []).encode(text)
    assert "".join(tokenizer.convert_ids_to_tokens(ids)) == text
    assert tokenizer.eos_token_id not in ids
    assert UntrustedTextEncoder(tokenizer, []).encode("aéb") == tokenizer.convert_tokens_to_ids(["a", "b"])
