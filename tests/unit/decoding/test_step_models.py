"""Encoder-decoder beams: packed equals a row for every beam, and both equal Hugging Face's search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from genrec.decoding import ConstrainedBeamSearch, load_backend
from genrec.decoding.encoder_decoder_beams import EncoderDecoderBackend
from genrec.decoding.fused_beams import FusedBackend
from genrec.decoding.packed_t5_beams import PackedT5Backend

IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def t5(rows: int, **options: Any) -> PreTrainedModel:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 3}
    config = T5Config(
        vocab_size=rows, decoder_start_token_id=0, initializer_factor=1.5, **sizes, **IDS, **options
    )
    return T5ForConditionalGeneration(config)


def mt5(rows: int) -> PreTrainedModel:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 3}
    config = MT5Config(vocab_size=rows, decoder_start_token_id=0, initializer_factor=1.5, **sizes, **IDS)
    return MT5ForConditionalGeneration(config)


def bart(rows: int) -> PreTrainedModel:
    """Learned absolute positions, a bias on the logits, another start token."""
    sizes = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "max_position_embeddings": 64}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    widths = {"encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "init_std": 0.6}
    config = BartConfig(
        vocab_size=rows,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
        **sizes,
        **heads,
        **widths,
        **IDS,
    )
    return BartForConditionalGeneration(config)


MODELS = {
    "t5": t5,
    "t5 with a shallow decoder": lambda rows: t5(rows, num_decoder_layers=1),
    "t5 v1.1": lambda rows: t5(rows, tie_word_embeddings=False, feed_forward_proj="gated-gelu"),
    "mt5": mt5,
    "bart": bart,
}


def prompts(rows: int, lengths: list[int], seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Random right-padded prompts, which is how Hugging Face's encoders want them."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, rows, (len(lengths), max(lengths)), generator=generator)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return ids * mask, mask


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, tiny: Any) -> PreTrainedModel:
    torch.manual_seed(3)
    made: PreTrainedModel = MODELS[request.param](len(tiny.text_tokenizer)).eval()
    return made


def test_each_kind_of_model_has_its_implementation(tiny: Any) -> None:
    rows = len(tiny.text_tokenizer)
    assert isinstance(load_backend(tiny.model), FusedBackend)
    assert isinstance(load_backend(t5(rows)), PackedT5Backend)
    assert isinstance(load_backend(mt5(rows)), PackedT5Backend)
    assert isinstance(load_backend(bart(rows)), EncoderDecoderBackend)


@pytest.mark.parametrize("num_beams", [2, 5, 12])
def test_the_beams_are_those_of_hugging_face(
    make_tiny: Callable[..., Any], model: PreTrainedModel, num_beams: int
) -> None:
    tiny = make_tiny(60)
    ids, mask = prompts(len(tiny.text_tokenizer), [6, 2, 9])
    allowed: dict[tuple[int, ...], list[int]] = {}
    for tokens in tiny.vocabulary.encode(tiny.codes).tolist():
        for end in range(len(tokens)):
            allowed.setdefault(tuple(tokens[:end]), []).append(tokens[end])
    out = model.generate(
        ids,
        attention_mask=mask,
        num_beams=num_beams,
        num_return_sequences=num_beams,
        prefix_allowed_tokens_fn=lambda _, sent: sorted(set(allowed[tuple(sent[1:].tolist())])),
        max_new_tokens=3,
        length_penalty=0.0,
        do_sample=False,
        eos_token_id=None,
        output_scores=True,
        return_dict_in_generate=True,
    )
    found = ConstrainedBeamSearch(
        model, tiny.trie, tiny.vocabulary, normalize="full", num_beams=num_beams
    ).search(ids, mask, k=num_beams)
    ours = tiny.vocabulary.encode(found.codes.flatten(0, 1).numpy())
    assert ours.tolist() == out.sequences[:, 1:].tolist()
    np.testing.assert_allclose(found.scores.flatten(), out.sequences_scores, atol=1e-4)


@pytest.mark.parametrize("sizes", [(5, 4, 6), (3, 2, 3, 2, 4)])
def test_packed_beams_equal_a_row_for_every_beam(
    make_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]
) -> None:
    tiny = make_tiny(50, sizes, encoder_decoder=True)
    ids, mask = prompts(len(tiny.text_tokenizer), [4, 1, 7, 20])
    found = []
    for kind in (PackedT5Backend, EncoderDecoderBackend):
        monkeypatch.setattr("genrec.decoding.beam_search.load_backend", lambda model, _, to=kind: to(model))
        found.append(ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, num_beams=9))
        found[-1] = found[-1].search(ids, mask, k=9)
    assert found[0].rows.tolist() == found[1].rows.tolist()
    torch.testing.assert_close(found[0].scores, found[1].scores, atol=1e-4, rtol=0)


def test_dead_beams_do_no_harm(model: PreTrainedModel, make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(3)  # fewer items than beams from the first step on
    ids, mask = prompts(len(tiny.text_tokenizer), [5, 3])
    search = ConstrainedBeamSearch(model, tiny.trie, tiny.vocabulary, num_beams=8)
    found = search.search(ids, mask, k=8)
    assert (found.rows[:, 3:] == -1).all()
    for row in found.rows:
        assert sorted(row[:3].tolist()) == [0, 1, 2]
    assert not found.scores[:, :3].isinf().any()
    alone = search.search(ids[1:, :3], mask[1:, :3], k=8)
    torch.testing.assert_close(alone.scores[0, :3], found.scores[1, :3], atol=1e-4, rtol=0)


def test_the_encoder_runs_once_for_all_beams_and_steps(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(30, encoder_decoder=True)
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, num_beams=7)
    shapes: list[torch.Size] = []
    block = tiny.model.get_encoder().embed_tokens
    handle = block.register_forward_pre_hook(lambda module, args: shapes.append(args[0].shape))
    ids, mask = prompts(len(tiny.text_tokenizer), [6, 2])
    search.search(ids, mask, k=7)
    handle.remove()
    assert shapes.count(ids.shape) == 1
