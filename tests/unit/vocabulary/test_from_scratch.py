"""The small model and its text tokenizer, made from texts and sizes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from genrec.vocabulary import build_small_model, train_text_tokenizer

TEXT_TOKENIZER = train_text_tokenizer(["gentle shampoo", "gentle soap", "gentle cream"], vocab_size=280)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_encoded_without_loss(text: str) -> None:
    ids = TEXT_TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert TEXT_TOKENIZER.decode(ids) == text


def test_frequent_words_become_one_token() -> None:
    assert len(TEXT_TOKENIZER("gentle", add_special_tokens=False)["input_ids"]) == 1
    assert len(TEXT_TOKENIZER) <= 280


def test_a_model_depends_on_its_seed_alone() -> None:
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 8, "max_positions": 32}
    state = torch.random.get_rng_state()
    first = build_small_model(TEXT_TOKENIZER, **sizes, seed=1).state_dict()
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(3)
    again = build_small_model(TEXT_TOKENIZER, **sizes, seed=1).state_dict()
    other = build_small_model(TEXT_TOKENIZER, **sizes, seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])
    assert first["model.embed_tokens.weight"].shape == (len(TEXT_TOKENIZER), 16)


def test_heads_need_not_divide_the_width_when_theirs_is_given() -> None:
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 3, "intermediate_size": 8}
    model = build_small_model(TEXT_TOKENIZER, **sizes, head_dim=4)
    assert model.config.head_dim == 4
    assert model(torch.tensor([[1, 2]])).logits.shape == (1, 2, len(TEXT_TOKENIZER))
