"""A pretrained model gets the tokens' rows, keeps its own, and is never shrunk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrec import SemanticIdSpec, extend_model
from genrec.errors import VocabularyError
from genrec.vocabulary import SemanticIdVocabulary, train_text_tokenizer

SPEC = SemanticIdSpec((6, 5, 4))
NEW = 6 + 5 + 4 + 1 + 3 * 64


def matrices(model: Any) -> list[torch.Tensor]:
    head, inputs = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    return [inputs.detach()] if head is inputs else [inputs.detach(), head.detach()]


@pytest.mark.parametrize("spare", [0, 20, 500])
@pytest.mark.parametrize("tied", [True, False])
def test_every_token_gets_a_row_and_old_rows_stay(
    make_base: Callable[..., Any], family: str, tied: bool, spare: int
) -> None:
    model, text_tokenizer = make_base(family, tied, spare)
    known = len(text_tokenizer)
    before = [matrix.clone() for matrix in matrices(model)]
    extended, extended_tokenizer, vocabulary = extend_model(model, SPEC, text_tokenizer=text_tokenizer)
    assert extended is model
    assert extended_tokenizer is text_tokenizer
    assert vocabulary.new_ids.tolist() == list(range(known, known + NEW))
    after = matrices(model)
    assert len(after) == len(before) == (1 if tied else 2)
    for old, now in zip(before, after, strict=True):
        assert len(now) == max(len(old), known + NEW)
        assert torch.equal(now[:known], old[:known])
        assert torch.equal(now[known + NEW :], old[known + NEW :])
        rows, text = now[known : known + NEW], now[3:known]  # the first three are special tokens
        distance = (rows - text.mean(0)) / text.std(0)
        assert 0.05 < distance.std() < 0.15
        assert len(rows.unique(dim=0)) == NEW
    assert model.config.get_text_config().vocab_size == len(after[0])
    logits = model(torch.from_numpy(vocabulary.new_ids[None, :5])).logits
    assert logits.shape[-1] == len(after[0])
    assert torch.isfinite(logits).all()
    smuggled = vocabulary.encode_text(text_tokenizer, "<a_1> a little <id_end> text")
    assert not set(smuggled) & set(vocabulary.new_ids.tolist())


def test_resizing_by_the_text_tokenizer_would_shrink_a_padded_model(make_base: Callable[..., Any]) -> None:
    model, text_tokenizer = make_base(spare=500)
    rows = len(matrices(model)[0])
    SemanticIdVocabulary.extend(text_tokenizer, SPEC)
    model.resize_token_embeddings(len(text_tokenizer), mean_resizing=False)
    assert len(matrices(model)[0]) < rows  # the library still does it: the reason why `extend_model` does not


def test_rows_depend_on_the_seed_alone(make_base: Callable[..., Any]) -> None:
    found = []
    for seed in (1, 1, 2):
        model, text_tokenizer = make_base("phi", False)
        extend_model(model, SPEC, text_tokenizer=text_tokenizer, seed=seed)
        found.append([matrix.clone() for matrix in matrices(model)])
        torch.rand(7)
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[1], strict=True))
    assert not torch.equal(found[0][0], found[2][0])
    assert not torch.equal(found[0][0], found[0][1])


@pytest.mark.parametrize("tied", [True, False])
def test_added_biases_of_the_head_are_those_of_a_plain_resize(
    make_base: Callable[..., Any], tied: bool
) -> None:
    model, text_tokenizer = make_base("phi", tied, spare=40)
    old = model.get_output_embeddings().bias.detach().clone()
    extend_model(model, SPEC, text_tokenizer=text_tokenizer)
    bias = model.get_output_embeddings().bias.detach()
    assert torch.equal(bias[: len(old)], old)
    plain, _ = make_base("phi", tied, spare=40)
    plain.resize_token_embeddings(len(bias))
    torch.testing.assert_close(bias, plain.get_output_embeddings().bias.detach())


@pytest.mark.parametrize("tied", [True, False])
def test_rows_from_codebooks_keep_what_is_near_near(make_base: Callable[..., Any], tied: bool) -> None:
    rng = np.random.default_rng(0)
    codebook = rng.normal(size=(6, 3))
    codebook[1] = codebook[0] + 0.05 * rng.normal(size=3)
    model, text_tokenizer = make_base("qwen2", tied)
    known = len(text_tokenizer)
    _, _, vocabulary = extend_model(
        model,
        SPEC,
        text_tokenizer=text_tokenizer,
        initialization="codebook",
        codebooks=[codebook, None, rng.normal(size=(4, 7))],
    )
    for matrix in matrices(model):
        text = matrix[3:known]
        standard = (matrix - text.mean(0)) / text.std(0)
        first, second = standard[vocabulary.token_ids[0]], standard[vocabulary.token_ids[1]]
        assert 0.8 < first.std() < 1.2
        assert second.std() < 0.15
        assert torch.cdist(first, first)[0].argsort()[1] == 1
        assert torch.cdist(first, first)[2:, :2].min() > 2 * torch.cdist(first, first)[0, 1]


def test_extending_again_changes_nothing(make_base: Callable[..., Any]) -> None:
    model, text_tokenizer = make_base("llama", False, spare=10)
    _, _, vocabulary = extend_model(model, SPEC, text_tokenizer=text_tokenizer)
    before = [matrix.clone() for matrix in matrices(model)]
    _, _, again = extend_model(model, SPEC, text_tokenizer=text_tokenizer, seed=5)
    assert again.fingerprint() == vocabulary.fingerprint()
    assert all(torch.equal(a, b) for a, b in zip(before, matrices(model), strict=True))


@pytest.fixture
def folder(tmp_path: Path, make_base: Callable[..., Any]) -> Path:
    model, text_tokenizer = make_base("qwen3", False, spare=30)
    model.save_pretrained(tmp_path / "base")
    text_tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize("dtype", [None, "bfloat16", torch.float32])
def test_a_model_is_loaded_by_name(folder: Path, dtype: Any) -> None:
    model, text_tokenizer, vocabulary = extend_model(folder, SPEC, dtype=dtype)
    assert model.dtype is (torch.bfloat16 if dtype == "bfloat16" else torch.float32)
    assert len(matrices(model)[0]) == len(text_tokenizer) == vocabulary.new_ids[-1] + 1
    model.save_pretrained(folder.parent / "extended")
    text_tokenizer.save_pretrained(folder.parent / "extended")
    again, _, same = extend_model(folder.parent / "extended", SPEC)
    assert same.fingerprint() == vocabulary.fingerprint()
    assert all(torch.equal(a, b) for a, b in zip(matrices(model), matrices(again), strict=True))


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize(("quantization", "tied"), [("4bit", False), ("4bit", True), ("8bit", False)])
def test_a_quantised_model_is_ready_for_adapters(
    tmp_path: Path, make_base: Callable[..., Any], quantization: Any, tied: bool
) -> None:
    import bitsandbytes

    base, text_tokenizer = make_base("qwen3", tied, width=64)
    base.save_pretrained(tmp_path)
    text_tokenizer.save_pretrained(tmp_path)
    model, _, vocabulary = extend_model(tmp_path, SPEC, quantization=quantization, dtype="float32")
    projection = model.model.layers[0].mlp.up_proj
    kind = bitsandbytes.nn.Linear4bit if quantization == "4bit" else bitsandbytes.nn.Linear8bitLt
    assert isinstance(projection, kind)
    if quantization == "4bit":
        assert projection.weight.quant_state.quant_type == "nf4"
        assert projection.weight.quant_state.nested
    assert len(matrices(model)) == (1 if tied else 2)
    assert all(matrix.dtype is torch.float32 for matrix in matrices(model))
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert torch.isfinite(model(torch.from_numpy(vocabulary.new_ids[None, :4])).logits).all()


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("width", [32, 64])
def test_a_4bit_model_has_a_gradient_after_it_was_evaluated(
    tmp_path: Path, make_base: Callable[..., Any], width: int
) -> None:
    base, text_tokenizer = make_base("qwen3", width=width)
    base.save_pretrained(tmp_path)
    text_tokenizer.save_pretrained(tmp_path)
    model, _, vocabulary = extend_model(tmp_path, SPEC, quantization="4bit", dtype="float32")
    ids = torch.from_numpy(vocabulary.new_ids[None, :4])

    def gradient() -> torch.Tensor:
        inputs = model.get_input_embeddings()(ids).detach().requires_grad_()
        model.train()(inputs_embeds=inputs).logits.square().sum().backward()
        assert inputs.grad is not None
        return inputs.grad

    before = gradient()
    with torch.no_grad():
        model.eval()(ids)
    torch.testing.assert_close(gradient(), before)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pad_token": "<|eos|>"}, "<|added_pad|>"),
        ({"pad_token": None}, "<|added_pad|>"),
        ({"pad_token": "<|eos|>", "unk_token": "<|bos|>"}, "<|added_pad|>"),
        ({"pad_token": "<|eos|>", "unk_token": "<|pad|>"}, "<|pad|>"),
        ({}, "<|pad|>"),
    ],
)
def test_padding_never_falls_on_an_end_token(
    make_base: Callable[..., Any], change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    model, text_tokenizer = make_base()
    for name, value in change.items():
        setattr(text_tokenizer, name, value)
    known = len(text_tokenizer)
    _, _, vocabulary = extend_model(model, SPEC, text_tokenizer=text_tokenizer)
    assert text_tokenizer.pad_token == expected
    assert model.config.pad_token_id == text_tokenizer.pad_token_id != text_tokenizer.eos_token_id
    added = expected == "<|added_pad|>"
    assert vocabulary.padding_id == (known if added else None)
    assert len(vocabulary.new_ids) == NEW + added
    assert len(vocabulary.reserved_ids) == NEW
    assert len(matrices(model)[0]) == known + NEW + added
    vocabulary.save(tmp_path)
    assert SemanticIdVocabulary.load(tmp_path).new_ids.tolist() == vocabulary.new_ids.tolist()


def refused(expected: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(VocabularyError, match=expected) as caught:
        extend_model(*arguments, **options)
    assert caught.value.received
    assert caught.value.remedy


def test_wrong_calls_get_a_clear_error(
    folder: Path, make_base: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, text_tokenizer = make_base()
    refused("unknown quantization", folder, SPEC, quantization="2bit")
    refused("unknown initialization", folder, SPEC, initialization="zeros")
    refused("belong together", folder, SPEC, initialization="codebook")
    refused("belong together", folder, SPEC, codebooks=[np.ones((6, 2)), None, None])
    refused("comes with its text tokenizer", model, SPEC)
    refused("comes with its text tokenizer", model, SPEC, text_tokenizer=text_tokenizer, dtype="bfloat16")
    refused("text tokenizer of nobody/nothing at v1 cannot be loaded", "nobody/nothing", SPEC, revision="v1")
    refused(
        "model of .* cannot be loaded", tmp_path / "empty", SPEC, text_tokenizer=train_text_tokenizer(["a"])
    )
    for codebooks in (
        [np.ones((6, 2))],
        [np.ones((5, 2)), None, None],
        [np.full((6, 2), np.nan), None, None],
    ):
        refused(
            "codebooks do not fit",
            model,
            SPEC,
            text_tokenizer=text_tokenizer,
            initialization="codebook",
            codebooks=codebooks,
        )
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    refused("quantization needs bitsandbytes", folder, SPEC, quantization="4bit")


def test_a_text_tokenizer_of_another_spec_is_refused(make_base: Callable[..., Any]) -> None:
    model, text_tokenizer = make_base()
    extend_model(model, SPEC, text_tokenizer=text_tokenizer)
    refused("another Semantic-ID spec", model, SemanticIdSpec((6, 5)), text_tokenizer=text_tokenizer)
    refused("another Semantic-ID spec", model, SemanticIdSpec((6, 5, 9)), text_tokenizer=text_tokenizer)


def test_other_models_and_slow_text_tokenizers_are_refused(
    tmp_path: Path, make_base: Callable[..., Any]
) -> None:
    from transformers import T5Config, T5ForConditionalGeneration, ViTConfig, ViTModel

    model, text_tokenizer = make_base()
    t5 = T5ForConditionalGeneration(
        T5Config(vocab_size=300, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    )
    refused("only causal language models", t5, SPEC, text_tokenizer=text_tokenizer)
    vit = ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=16
    )
    ViTModel(vit).save_pretrained(tmp_path)
    refused("cannot be loaded as a causal", tmp_path, SPEC, text_tokenizer=text_tokenizer)

    class Slow:
        is_fast = False

    refused("slow one", model, SPEC, text_tokenizer=Slow())
