"""An export is read by plain transformers, and names the same items by the trie file."""

from __future__ import annotations

import io
import json
import runpy
import sys
import tokenize
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from genrec import Catalog, GenerativeRecommender, ItemTable, SemanticIdSpec, extend_model
from genrec.artifacts import read_manifest
from genrec.errors import ArtifactError, ConfigError
from genrec.recommender import export_bundle
from genrec.recommender.bundle import BundleSettings
from genrec.recommender.export_examples import plain_example
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


def example(folder: Path, *history: str, script: str = "example.py") -> list[tuple[str, float, str]]:
    """What an exported script prints, run here: item, score, title."""
    printed, arguments = io.StringIO(), sys.argv
    sys.argv = [script, str(folder), *history]
    try:
        with redirect_stdout(printed):
            runpy.run_path(str(folder / script))
    finally:
        sys.argv = arguments
    rows = [line.split("\t") for line in printed.getvalue().splitlines()]
    return [(item, float(score), title) for score, item, title in rows]


def check(
    recommender: GenerativeRecommender, folder: Path, history: list[str], script: str = "example.py"
) -> None:
    expected, found = recommender.recommend(history, 12), example(folder, *history, script=script)
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
    trie = np.load(tmp_path / "out" / "trie.npy")
    assert sorted(trie[-30:, 0].tolist()) == list(range(30))
    files = read_manifest(tmp_path / "out")["files"]
    assert {
        "config.json",
        "model.safetensors",
        "example.py",
        "items.json",
        "trie.npy",
        "item_tokens.npy",
        "vllm_example.py",
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


class SamplingParams:
    """As vLLM's: one greedy step, of which the log-probabilities are wanted."""

    def __init__(
        self,
        *,
        temperature: float,
        max_tokens: int,
        logprobs: int,
        allowed_token_ids: list[int] | None = None,
    ) -> None:
        assert (temperature, max_tokens) == (0, 1)
        assert allowed_token_ids is None or logprobs <= len(allowed_token_ids)
        self.most, self.allowed = logprobs, allowed_token_ids


class LLM:
    """Stands in for vLLM's: `generate` on prompts of token ids, log-probabilities after the allowed ids."""

    def __init__(self, model: str, *, dtype: str, logprobs_mode: str, max_logprobs: int) -> None:
        assert (dtype, logprobs_mode, max_logprobs) == ("float32", "processed_logprobs", -1)
        self.model = AutoModelForCausalLM.from_pretrained(model)

    def generate(
        self, prompts: list[dict[str, list[int]]], params: SamplingParams | list[SamplingParams]
    ) -> list[SimpleNamespace]:
        each = params if isinstance(params, list) else [params] * len(prompts)
        found = []
        for prompt, param in zip(prompts, each, strict=True):
            assert all(type(token) is int for token in prompt["prompt_token_ids"])
            with torch.no_grad():
                logits = self.model(torch.tensor([prompt["prompt_token_ids"]])).logits[0, -1]
            if param.allowed is not None:
                closed = torch.ones(len(logits), dtype=torch.bool)
                closed[param.allowed] = False
                logits = logits.masked_fill(closed, -torch.inf)
            most = len(logits) if param.most == -1 else param.most
            best = logits.log_softmax(0).topk(most)
            step = {
                int(token): SimpleNamespace(logprob=float(value))
                for value, token in zip(best.values, best.indices, strict=True)
            }
            found.append(SimpleNamespace(outputs=[SimpleNamespace(logprobs=[step])]))
        return found


@pytest.mark.parametrize("normalize", ["allowed", "level", "full"])
def test_the_script_for_vllm_names_the_same_items(
    make: Callable[..., GenerativeRecommender],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    normalize: str,
) -> None:
    recommender = make({"normalize": normalize})
    recommender.save_pretrained(tmp_path / "bundle")
    export_bundle(tmp_path / "bundle", tmp_path / "out")
    monkeypatch.setitem(
        sys.modules, "vllm", cast(Any, SimpleNamespace(LLM=LLM, SamplingParams=SamplingParams))
    )
    check(recommender, tmp_path / "out", ["i3", "i4", "i9", "i20"], "vllm_example.py")


def lines_of_code(text: str) -> int:
    """Lines that are neither blank, a comment nor a docstring; imports count."""
    lines = set()
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        described = token.type == tokenize.STRING and before in (tokenize.NEWLINE, tokenize.INDENT)
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            before = token.type
        if token.string.strip() and not described and token.type != tokenize.COMMENT:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines)


def test_the_example_has_twenty_lines() -> None:
    for encoder_decoder in (False, True):
        text = plain_example("allowed", encoder_decoder=encoder_decoder)
        assert text == plain_example("full", encoder_decoder=encoder_decoder)
        assert lines_of_code(text) <= 20
        assert max(map(len, text.splitlines())) <= 120
        assert "genrec" not in text
    assert lines_of_code(plain_example("level", encoder_decoder=False)) <= 23
