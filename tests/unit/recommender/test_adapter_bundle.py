"""A bundle of adapters: small, exact, and on no other base."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrec import Catalog, GenerativeRecommender, ItemTable, SemanticIdSpec, extend_model
from genrec.errors import ArtifactError, VocabularyError
from genrec.recommender.bundle import BundleSettings
from genrec.training import add_lora, merge

SIZES = (5, 4, 6)
IDS = [f"i{row}" for row in range(20)]


def recommender_on(base: Path, **options: Any) -> GenerativeRecommender:
    """A recommender with adapters and rows that are far from their first values."""
    spec = SemanticIdSpec(SIZES)
    model, text_tokenizer, vocabulary = extend_model(base, spec, **options)
    wrapped = add_lora(model, vocabulary, r=4)
    generator = torch.Generator().manual_seed(0)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    numbers = np.random.default_rng(0).choice(int(np.prod(SIZES)), size=20, replace=False)
    catalog = Catalog(IDS, np.stack(np.unravel_index(numbers, SIZES), axis=1), spec)
    items = ItemTable.from_rows({"item_id": item, "title": item} for item in IDS)
    return GenerativeRecommender(
        wrapped.eval(), text_tokenizer, vocabulary, catalog, items, settings=BundleSettings(num_beams=8)
    )


@pytest.fixture
def save_base(tmp_path: Path, make_base: Callable[..., Any]) -> Callable[..., Path]:
    def save(name: str = "base", **options: Any) -> Path:
        model, text_tokenizer = make_base(**options)
        model.to(torch.bfloat16 if name == "bf16" else torch.float32).save_pretrained(tmp_path / name)
        text_tokenizer.save_pretrained(tmp_path / name)
        return tmp_path / name

    return save


def logits_of(recommender: GenerativeRecommender) -> torch.Tensor:
    ids = torch.from_numpy(recommender.vocabulary.new_ids[None, :9])
    with torch.no_grad():
        return recommender.model.eval()(input_ids=ids).logits.float()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("spare", [0, 500])
def test_a_bundle_of_adapters_comes_back_exactly(
    save_base: Callable[..., Path], tmp_path: Path, tied: bool, spare: int
) -> None:
    base = save_base(tied=tied, spare=spare)
    recommender = recommender_on(base)
    expected, found = logits_of(recommender), recommender.recommend(["i1", "i2"], 5)
    recommender.save_pretrained(tmp_path / "bundle")
    again = GenerativeRecommender.from_pretrained(tmp_path / "bundle")
    assert torch.equal(logits_of(again), expected)
    assert again.recommend(["i1", "i2"], 5) == found
    again.save_pretrained(tmp_path / "again")
    name = "model/adapter_model.safetensors"
    assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "bundle" / name).read_bytes()

    merged = merge(again.model)
    whole = GenerativeRecommender(
        merged, again.text_tokenizer, again.vocabulary, again.catalog, again.items, settings=again.settings
    )
    assert [r.item_id for r in whole.recommend(["i1", "i2"], 5)] == [r.item_id for r in found]
    whole.save_pretrained(tmp_path / "whole")
    loaded = GenerativeRecommender.from_pretrained(tmp_path / "whole")
    torch.testing.assert_close(logits_of(loaded), expected, atol=1e-5, rtol=1e-5)


def test_the_bases_matrices_never_enter_a_bundle(save_base: Callable[..., Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    recommender = recommender_on(save_base(tied=False))
    recommender.save_pretrained(tmp_path / "bundle")
    saved = load_file(tmp_path / "bundle" / "model" / "adapter_model.safetensors")
    rows = len(recommender.vocabulary.new_ids)
    assert {len(t) for name, t in saved.items() if "trainable_tokens" in name} == {rows}
    assert all("lora_" in name or "trainable_tokens" in name for name in saved)
    files = {p.name for p in (tmp_path / "bundle" / "model").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}


def test_adapters_of_a_bfloat16_base_are_saved_as_such(
    save_base: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    recommender = recommender_on(save_base("bf16"))
    recommender.save_pretrained(tmp_path / "bundle")
    saved = load_file(tmp_path / "bundle" / "model" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    again = GenerativeRecommender.from_pretrained(tmp_path / "bundle")
    torch.testing.assert_close(logits_of(again), logits_of(recommender), atol=0.1, rtol=0.05)
    again.save_pretrained(tmp_path / "again")
    once_more = GenerativeRecommender.from_pretrained(tmp_path / "again")
    assert torch.equal(logits_of(once_more), logits_of(again))


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_a_quantised_base_is_quantised_again(
    save_base: Callable[..., Path], tmp_path: Path, quantization: str
) -> None:
    recommender = recommender_on(save_base(width=64), quantization=quantization, dtype="float32")
    recommender.save_pretrained(tmp_path / "bundle")
    facts = json.loads((tmp_path / "bundle" / "manifest.json").read_text())["facts"]
    assert facts["base"]["quantization"] == quantization
    again = GenerativeRecommender.from_pretrained(tmp_path / "bundle")
    torch.testing.assert_close(logits_of(again), logits_of(recommender), atol=1e-4, rtol=1e-4)


def test_another_base_is_refused(save_base: Callable[..., Path], tmp_path: Path) -> None:
    base = save_base(tied=False)
    recommender_on(base).save_pretrained(tmp_path / "bundle")

    def refused(other: Path, expected: str, error: type[Exception] = ArtifactError) -> None:
        with pytest.raises(error, match=expected):
            GenerativeRecommender.from_pretrained(tmp_path / "bundle", base=other)

    refused(save_base("seed", tied=False, seed=1), "its weights differ")
    refused(save_base("tied", tied=True), "its weights differ")
    refused(save_base("wide", tied=False, width=32), "its weights differ")
    refused(save_base("spare", tied=False, spare=900), "another shape")
    refused(tmp_path / "nowhere", "cannot be loaded", VocabularyError)
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(VocabularyError, match="cannot be loaded"):
        GenerativeRecommender.from_pretrained(tmp_path / "bundle")
    assert GenerativeRecommender.from_pretrained(tmp_path / "bundle", base=moved).recommend(["i1"], 3)


def test_what_makes_no_sense_is_refused(
    save_base: Callable[..., Path], make_base: Callable[..., Any], tmp_path: Path
) -> None:
    recommender = recommender_on(save_base())
    model, text_tokenizer = make_base()
    model, text_tokenizer, vocabulary = extend_model(
        model, recommender.catalog.spec, text_tokenizer=text_tokenizer
    )
    nameless = GenerativeRecommender(
        add_lora(model, vocabulary, r=2), text_tokenizer, vocabulary, recommender.catalog, recommender.items
    )
    with pytest.raises(ArtifactError, match="no name or folder"):
        nameless.save_pretrained(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    recommender.model = merge(recommender.model)
    recommender.save_pretrained(tmp_path / "whole")
    with pytest.raises(ArtifactError, match="stands on no base"):
        GenerativeRecommender.from_pretrained(tmp_path / "whole", base="x")
    shutil.rmtree(tmp_path / "whole")
