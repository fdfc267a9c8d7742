"""An export is read by plain transformers, and names the same items by the trie file."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from genrec import Catalog, GenerativeRecommender, ItemTable, SemanticIdSpec, extend_model
from genrec.artifacts import read_manifest
from genrec.catalog import CatalogTrie
from genrec.errors import ArtifactError, ConfigError
from genrec.recommender import export_bundle
from genrec.recommender.bundle import BundleSettings
from genrec.recommender.exporting import example_text
from genrec.tasks import load_templates

IDS = [f"i{row}" for row in range(30)]


@pytest.fixture(scope="module")
def make(make_tiny: Callable[..., Any]) -> Callable[..., GenerativeRecommender]:
    """A recommender of a tiny model; its beams are as many as its items, so that a list is exact."""

    def build(settings: dict[str, Any] | None = None, **options: Any) -> GenerativeRecommender:
        tiny = make_tiny(30, **options)
        items = ItemTable.from_rows({"item_id": item, "title": f"Title of {item}"} for item in IDS)
        return GenerativeRecommender(
            tiny.model,
            tiny.text_tokenizer,
            tiny.vocabulary,
            Catalog(IDS, tiny.codes, tiny.vocabulary.spec),
            items,
            settings=BundleSettings(max_history=3, num_beams=30, **(settings or {})),
        )

    return build


def example(folder: Path, *history: str) -> list[tuple[str, float, str]]:
    """What the exported example prints, run here: item, score, title."""
    spec = importlib.util.spec_from_file_location("exported_example", folder / "example.py")
    assert spec is not None
    assert spec.loader is not None
    printed, arguments = io.StringIO(), sys.argv
    sys.argv = ["example.py", *history]
    try:
        with redirect_stdout(printed):
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
    finally:
        sys.argv = arguments
    rows = [line.split("\t") for line in printed.getvalue().splitlines()]
    return [(item, float(score), title) for score, item, title in rows]


def check(recommender: GenerativeRecommender, folder: Path, history: list[str]) -> None:
    expected, found = recommender.recommend(history, 12), example(folder, *history)
    assert [item for item, _, _ in found[:12]] == [r.item_id for r in expected]
    assert [score for _, score, _ in found[:12]] == pytest.approx([r.score for r in expected], abs=2e-3)
    assert found[0][2] == f"Title of {found[0][0]}"


@pytest.mark.parametrize("normalize", ["allowed", "level", "full"])
def test_plain_transformers_names_the_same_items(
    make: Callable[..., GenerativeRecommender], tmp_path: Path, normalize: str
) -> None:
    recommender = make({"normalize": normalize})
    recommender.save_pretrained(tmp_path / "bundle")
    export_bundle(tmp_path / "bundle", tmp_path / "out")
    check(recommender, tmp_path / "out", ["i3", "i4", "i9", "i20"])
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.equal(model.get_input_embeddings().weight, recommender.model.get_input_embeddings().weight)
    assert "<a_1>" in AutoTokenizer.from_pretrained(tmp_path / "out").get_vocab()
    trie = CatalogTrie.load(tmp_path / "out" / "trie")
    assert trie.num_items == 30
    files = read_manifest(tmp_path / "out")["files"]
    assert {
        "config.json",
        "model.safetensors",
        "example.py",
        "items.json",
        "item_tokens.npy",
        "README.md",
    } <= set(files)


def test_a_worded_prompt_is_a_frame_around_the_history(
    make: Callable[..., GenerativeRecommender], tmp_path: Path
) -> None:
    template = load_templates("seqrec")["next_item"].training[0]
    recommender = make({"template": template.prompt})
    recommender.save_pretrained(tmp_path / "bundle")
    export_bundle(tmp_path / "bundle", tmp_path / "out", dtype="float32")
    facts = json.loads((tmp_path / "out" / "items.json").read_text())
    assert len(facts["before"]) > 1
    check(recommender, tmp_path / "out", ["i1", "i2"])


def test_an_encoder_decoder_is_exported_too(
    make: Callable[..., GenerativeRecommender], tmp_path: Path
) -> None:
    recommender = make(encoder_decoder=True)
    recommender.save_pretrained(tmp_path / "bundle")
    export_bundle(tmp_path / "bundle", tmp_path / "out")
    check(recommender, tmp_path / "out", ["i5", "i6"])


def test_adapters_are_worked_in(make_base: Callable[..., Any], tmp_path: Path) -> None:
    from genrec.training import add_lora

    base, text_tokenizer = make_base(tied=False)
    base.save_pretrained(tmp_path / "base")
    text_tokenizer.save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "README.md").write_text("---\nlicense: mit\n---\n")
    (tmp_path / "base" / "LICENSE.txt").write_text("May be used.\n")
    spec = SemanticIdSpec((5, 4, 6))
    model, text_tokenizer, vocabulary = extend_model(tmp_path / "base", spec)
    wrapped = add_lora(model, vocabulary, r=2)
    generator = torch.Generator().manual_seed(0)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    numbers = np.random.default_rng(0).choice(120, size=30, replace=False)
    codes = np.stack(np.unravel_index(numbers, (5, 4, 6)), axis=1)
    items = ItemTable.from_rows({"item_id": item, "title": f"Title of {item}"} for item in IDS)
    recommender = GenerativeRecommender(
        wrapped.eval(),
        text_tokenizer,
        vocabulary,
        Catalog(IDS, codes, spec),
        items,
        settings=BundleSettings(num_beams=30),
    )
    recommender.save_pretrained(tmp_path / "bundle")
    export_bundle(tmp_path / "bundle", tmp_path / "out")
    check(recommender, tmp_path / "out", ["i1", "i2"])
    assert "Tuned from base; its terms go with it: mit." in (tmp_path / "out" / "README.md").read_text()
    assert (tmp_path / "out" / "BASE_MODEL_LICENSE.txt").read_text() == "May be used.\n"


def test_what_cannot_be_exported_is_said(make: Callable[..., GenerativeRecommender], tmp_path: Path) -> None:
    fixture = Path(__file__).resolve().parents[2] / "fixtures" / "item_level_bundle_v1"
    with pytest.raises(ArtifactError, match="item-level generator"):
        export_bundle(fixture, tmp_path / "out")
    with pytest.raises(ConfigError, match="unknown dtype"):
        export_bundle(fixture, tmp_path / "out", dtype="int3")
    make().save_pretrained(tmp_path / "bundle")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    with pytest.raises(ArtifactError, match="they would be lost"):
        export_bundle(tmp_path / "bundle", tmp_path / "mine")
    assert not (tmp_path / "out").exists()


def test_the_example_is_short() -> None:
    tree = ast.parse(example_text("allowed", encoder_decoder=False))
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    texts = [n for n in statements if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    imports = [n for n in statements if isinstance(n, ast.Import | ast.ImportFrom)]
    assert len(statements) - len(texts) - len(imports) <= 24
    assert not any("genrec" in ast.unparse(node) for node in imports)
