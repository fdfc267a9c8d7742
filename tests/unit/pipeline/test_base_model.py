"""Where a recipe's model comes from: item texts first, then the catalog's tokens."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from genrec import GenRecError, Recipe
from genrec.pipeline import base_model, build_ids, check, load_inputs
from genrec.pipeline.base_model import language_model, text_base
from genrec.pipeline.semantic_ids import load_catalog

SMALL = [
    "data.num_items=60",
    "data.num_users=150",
    "embeddings.dim=12",
    "model.hidden_size=16",
    "model.num_layers=1",
    "model.num_heads=2",
    "model.intermediate_size=16",
    "model.text_vocab_size=280",
    "model.text_epochs=1",
]


def test_a_model_reads_the_item_texts_before_it_gets_the_tokens(tmp_path: Path) -> None:
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", "model.initialization=codebook"])
    inputs = load_inputs(recipe)
    build_ids(recipe, inputs)
    model, text_tokenizer, vocabulary = language_model(recipe, inputs.items, load_catalog(recipe))
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    plain = AutoTokenizer.from_pretrained(tmp_path / "base")
    rows = base.get_input_embeddings().weight
    assert len(rows) == len(plain)
    assert (model.get_input_embeddings().weight[: len(rows)] == rows).all()
    assert len(text_tokenizer) == len(plain) + len(vocabulary.reserved_ids)
    written = (tmp_path / "base" / "manifest.json").stat().st_mtime_ns
    assert text_base(recipe, inputs.items) == tmp_path / "base"
    assert (tmp_path / "base" / "manifest.json").stat().st_mtime_ns == written  # not trained again


def test_a_pretrained_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    first = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path / 'first'}"])
    inputs = load_inputs(first)
    base = text_base(first, inputs.items)
    from_scratch = [*SMALL[:-1], f"output_dir={tmp_path / 'second'}", f"model.base={base}"]
    second = Recipe.load("quickstart", from_scratch)
    build_ids(second, inputs)
    model, _, _ = language_model(second, inputs.items, load_catalog(second))
    rows = AutoModelForCausalLM.from_pretrained(base).get_input_embeddings().weight
    assert (model.get_input_embeddings().weight[: len(rows)] == rows).all()


def test_two_bases_are_one_too_many() -> None:
    with pytest.raises(GenRecError, match=r"model\.base names a pretrained one"):
        Recipe.load("quickstart", [*SMALL, "model.base=somewhere"])


def test_quantised_weights_need_adapters() -> None:
    with pytest.raises(GenRecError, match=r"set align\.lora_r"):
        Recipe.load("quickstart", ["model.quantization=4bit"])


def test_an_encoder_decoder_has_the_sizes_of_its_recipe(tmp_path: Path) -> None:
    overrides = [
        *SMALL[:-1],
        f"output_dir={tmp_path}",
        "model.architecture=encoder_decoder",
        "model.num_heads=3",
        "model.head_dim=4",
        "model.dropout=0.25",
        "align.residual_dropout=0",
    ]
    recipe = Recipe.load("quickstart", overrides)
    inputs = load_inputs(recipe)
    build_ids(recipe, inputs)
    model, text_tokenizer, _ = language_model(recipe, inputs.items, load_catalog(recipe))
    config = model.config
    assert config.is_encoder_decoder
    assert (config.num_heads, config.d_kv, config.d_model, config.d_ff) == (3, 4, 16, 16)
    assert (config.num_layers, config.num_decoder_layers, config.dropout_rate) == (1, 1, 0.25)
    assert config.vocab_size == len(text_tokenizer)


def test_what_an_encoder_decoder_cannot_have_is_told_at_once() -> None:
    with pytest.raises(GenRecError) as raised:
        Recipe.load("quickstart", ["model.architecture=encoder_decoder", "model.base=x", "model.num_heads=3"])
    message = str(raised.value)
    assert "leave out model.base" in message
    assert "set align.residual_dropout to 0" in message
    assert "or give model.head_dim" in message


@pytest.mark.parametrize("main", [True, False])
def test_in_a_launch_all_train_the_base_and_the_first_process_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: bool
) -> None:
    done: list[str] = []
    state = SimpleNamespace(is_main_process=main, wait_for_everyone=lambda: done.append("waited"))
    monkeypatch.setattr(base_model, "process_state", lambda: state)
    monkeypatch.setattr(base_model, "pretrain_on_texts", lambda *_, **__: done.append("trained"))
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}"])
    folder = text_base(recipe, load_inputs(recipe).items)
    assert done == ["waited", "trained", "waited"]  # all have looked before one writes, and read when it has
    assert folder.exists() == main


def test_a_check_trains_and_encodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = ["model.initialization=codebook", "align.lora_r=2", "align.batch_size=16", "align.threads=1"]
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", *more])
    inputs = load_inputs(recipe)
    build_ids(recipe, inputs)
    with monkeypatch.context() as patched:
        for name in ("pretrain_on_texts", "content_vectors"):
            patched.setattr(base_model, name, lambda *_, **__: pytest.fail("something was spent"))
        before = check(recipe, inputs)
    assert not (tmp_path / "base").exists()
    model, text_tokenizer, vocabulary = language_model(recipe, inputs.items, load_catalog(recipe))
    assert before.reserved_tokens == len(vocabulary.reserved_ids)
    rows = len(vocabulary.reserved_ids) * model.config.hidden_size
    assert rows < before.trained_parameters < rows + sum(p.numel() for p in model.parameters())
    assert check(recipe, inputs).trained_parameters == before.trained_parameters  # the base is there now
    assert len(text_tokenizer) == model.config.vocab_size
