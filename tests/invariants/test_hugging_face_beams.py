"""The beams of every family of models are those of Hugging Face's generate: items, order and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig

from genrec.catalog import CatalogTrie
from genrec.decoding import ConstrainedBeamSearch
from genrec.semantic_ids import SemanticIdSpec
from genrec.vocabulary import SemanticIdVocabulary

SIZES = (32, 32, 32)
TEXT = 40  # token ids below are text; some of the matrix's rows beyond the last code are padding
VOCABULARY = SemanticIdVocabulary(
    SemanticIdSpec(SIZES),
    [np.arange(32) * 3 + TEXT + place for place in (2, 0, 1)],  # the positions' ids lie among each other
    TEXT + 96,
    [np.arange(4) + TEXT + 97 + 4 * place for place in range(3)],
)
ROWS = 160
MODEL = {
    "vocab_size": ROWS,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.5,
}
WINDOWS = {"head_dim": 8, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "llama": {},
    "mistral": {"sliding_window": 4},
    "gemma2": {**WINDOWS, "attn_implementation": "eager", "initializer_range": 0.2},
    "gemma3_text": {**WINDOWS, "initializer_range": 0.2},
    "phi": {"num_key_value_heads": 2},
    "gpt2": {},
    "bloom": {"n_head": 2, "n_layer": 2},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 3, "initializer_factor": 1.5},
}
LENGTHS = [7, 1, 12]


def model_of(family: str) -> Any:
    options = dict(FAMILIES[family])
    attention = options.pop("attn_implementation", None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if family == "t5":
            config = AutoConfig.for_model(family, vocab_size=ROWS, decoder_start_token_id=0, **options)
            model = AutoModelForSeq2SeqLM.from_config(config).eval()
        else:
            config = AutoConfig.for_model(family, **{**MODEL, **options})
            model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    # as an instruct model's generation_config.json has it; a search must not care
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, top_k=5, top_p=0.8, repetition_penalty=1.3, pad_token_id=0
    )
    return model


def codes_of(num_items: int) -> np.ndarray:
    numbers = np.random.default_rng(num_items).choice(32**3, size=num_items, replace=False)
    return np.stack(np.unravel_index(numbers, SIZES), axis=1)


def prompts(family: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Ragged, padded on the side that Hugging Face wants."""
    ids = torch.randint(3, TEXT, (len(LENGTHS), 12), generator=torch.Generator().manual_seed(5))
    place, lengths = torch.arange(12), torch.tensor(LENGTHS)[:, None]
    mask = (place < lengths if family == "t5" else place >= 12 - lengths).long()
    return ids * mask, mask


def paths_of(codes: np.ndarray) -> list[list[int]]:
    """Tokens of each ID; where some are shorter, each with its terminator."""
    if (codes >= 0).all():
        return VOCABULARY.encode(codes).tolist()
    real = [[int(VOCABULARY.token_ids[p][c]) for p, c in enumerate(row) if c >= 0] for row in codes]
    return [[*tokens, VOCABULARY.terminator_id] for tokens in real]


def theirs(model: Any, family: str, codes: np.ndarray, num_beams: int) -> list[list[tuple[list[int], float]]]:
    """Answers and scores of each prompt, dead beams left out."""
    ids, mask = prompts(family)
    begun = 1 if family == "t5" else ids.shape[1]
    ragged = bool((codes < 0).any())
    allowed: dict[tuple[int, ...], set[int]] = {}
    for tokens in paths_of(codes):
        for end in range(len(tokens)):
            allowed.setdefault(tuple(tokens[:end]), set()).add(tokens[end])
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        # a beam that has left the trie has a score of -1e9 and may go anywhere
        prefix_allowed_tokens_fn=lambda _, sent: sorted(allowed.get(tuple(sent[begun:].tolist()), {2})),
        generation_config=GenerationConfig(
            num_beams=num_beams,
            num_return_sequences=num_beams,
            max_new_tokens=3 + ragged,
            eos_token_id=VOCABULARY.terminator_id if ragged else None,
            length_penalty=0.0,
            do_sample=False,
            top_k=None,
            top_p=None,
            temperature=None,
            repetition_penalty=1.0,
            pad_token_id=0,
            decoder_start_token_id=0,
            output_scores=True,
            return_dict_in_generate=True,
        ),
    )
    end = VOCABULARY.terminator_id  # behind it there is padding
    sent = [
        row[: row.index(end) + 1] if ragged and end in row else row
        for row in out.sequences[:, begun:].tolist()
    ]
    found = list(zip(sent, out.sequences_scores.tolist(), strict=True))
    rows = [found[row * num_beams : (row + 1) * num_beams] for row in range(len(ids))]
    return [[answer for answer in row if answer[1] > -1e8] for row in rows]


def same(ours: list[tuple[list[int], float]], other: list[tuple[list[int], float]]) -> None:
    """The same answers, in the same order but within groups of equal scores."""
    assert len(ours) == len(other)
    np.testing.assert_allclose([s for _, s in ours], [s for _, s in other], atol=1e-4)
    scores = np.array([score for _, score in other])
    ends = [*(np.flatnonzero(-np.diff(scores) > 2e-5) + 1), len(scores)]
    begin = 0
    for end in ends:
        assert sorted(a for a, _ in ours[begin:end]) == sorted(a for a, _ in other[begin:end])
        begin = end


def ours(model: Any, family: str, codes: np.ndarray, num_beams: int) -> list[list[tuple[list[int], float]]]:
    search = ConstrainedBeamSearch(
        model, CatalogTrie.from_codes(codes, SIZES), VOCABULARY, num_beams=num_beams
    )
    found = search.search(*prompts(family), num_beams)
    answers, paths = [], paths_of(codes)
    for rows, scores in zip(found.rows, found.scores, strict=True):
        real = rows >= 0
        tokens = [paths[row] for row in rows[real].tolist()]
        answers.append(list(zip(tokens, scores[real].tolist(), strict=True)))
    return answers


@pytest.mark.parametrize("family", FAMILIES)
def test_items_order_and_scores(family: str) -> None:
    model = model_of(family)
    for num_items, num_beams in ((1, 3), (7, 2), (7, 12), (300, 5), (300, 20), (10_000, 4), (10_000, 30)):
        codes = codes_of(num_items)
        pairs = zip(
            ours(model, family, codes, num_beams), theirs(model, family, codes, num_beams), strict=True
        )
        for mine, other in pairs:
            same(mine, other)
            assert len(mine) <= num_items


@pytest.mark.parametrize("family", ["qwen2", "gemma3_text", "bloom", "t5"])
def test_ids_of_unequal_length(family: str) -> None:
    """Their end is what generate calls the end of the sequence."""
    model, codes = model_of(family), codes_of(40)
    codes[:12, 2], codes[4:8, 1] = -1, -1
    codes = np.unique(codes, axis=0)
    wide = zip(ours(model, family, codes, 50), theirs(model, family, codes, 50), strict=True)
    for mine, other in wide:
        assert len(mine) == len(codes)
        same(mine, other)
    narrow = zip(ours(model, family, codes, 6), theirs(model, family, codes, 6), strict=True)
    for mine, other in narrow:  # generate drops an end that is not among a step's best 6; the search keeps it
        assert len(mine) >= len(other)
        scores = {tuple(answer): score for answer, score in mine}
        for (_, score), (answer, theirs_) in zip(mine, other, strict=False):
            assert score >= theirs_ - 1e-4
            assert scores.get(tuple(answer), theirs_) == pytest.approx(theirs_, abs=1e-4)


@pytest.mark.parametrize("merged", [False, True])
def test_with_adapters_and_new_rows(merged: bool) -> None:
    base = model_of("qwen3")
    config = LoraConfig(
        r=2, target_modules=["q_proj", "down_proj"], trainable_token_indices=VOCABULARY.new_ids.tolist()
    )
    model = get_peft_model(base, config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                generator = torch.Generator().manual_seed(len(name))
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    codes = codes_of(300)
    expected = theirs(model, "qwen3", codes, 8)
    found = ours(model.merge_and_unload() if merged else model, "qwen3", codes, 8)
    for mine, other in zip(found, expected, strict=True):
        same(mine, other)
    plain = ours(model_of("qwen3"), "qwen3", codes, 8)
    assert [a for a, _ in plain[0]] != [a for a, _ in expected[0]]  # the adapters matter


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text", "t5"])
def test_in_half_precision_up_to_its_rounding(family: str) -> None:
    model = model_of(family).to(torch.bfloat16)
    codes = codes_of(300)
    for mine, other in zip(ours(model, family, codes, 10), theirs(model, family, codes, 10), strict=True):
        scores = {tuple(a): score for a, score in other}
        both = [(score, scores[tuple(a)]) for a, score in mine if tuple(a) in scores]
        assert len(both) >= 8
        np.testing.assert_allclose(*np.array(both).T, atol=0.3)  # a logit of 8 has steps of 0.03
