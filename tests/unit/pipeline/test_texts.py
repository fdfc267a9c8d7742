"""Texts of a language model the user names: estimated first, written once, needed before training."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from genrec import GenRecError, Recipe
from genrec.cli.main import app
from genrec.pipeline import align, build_ids, estimate_texts, load_inputs, preview, write_texts
from genrec.pipeline.mixture import training_mixture
from genrec.pipeline.semantic_ids import load_catalog
from genrec.vocabulary import build_small_model, train_text_tokenizer

SMALL = ["data.num_items=50", "data.num_users=60", "model.text_vocab_size=300", "embeddings.dim=8"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random model that writes nonsense, which is as good as any text here."""
    folder = tmp_path_factory.mktemp("writer")
    text_tokenizer = train_text_tokenizer(["some words for a shop of soap"], 270)
    build_small_model(text_tokenizer, hidden_size=16, num_layers=1, num_heads=2).save_pretrained(folder)
    text_tokenizer.save_pretrained(folder)
    return str(folder)


def options(folder: Path, writer: str) -> list[str]:
    return [
        *SMALL,
        f"output_dir={folder}",
        "texts.source=local",
        f"texts.model={writer}",
        "texts.max_new_tokens=4",
        "texts.price_per_million=[1, 2]",
    ]


def test_the_model_is_asked_once_and_before_training(tmp_path: Path, writer: str) -> None:
    recipe = Recipe.load("quickstart-tasks", options(tmp_path, writer))
    inputs = load_inputs(recipe)
    build_ids(recipe, inputs)
    first = estimate_texts(recipe, inputs)
    assert first is not None
    assert first.calls >= 50  # one call an item, and those of the users' histories
    assert first.cost is not None
    assert first.cost > 0
    with pytest.raises(GenRecError, match="genrec write-texts quickstart-tasks"):
        align(recipe, inputs)
    assert len(preview(recipe, inputs).rows) == 6  # a first look needs none of them
    assert not write_texts(recipe, inputs).skipped
    assert write_texts(recipe, inputs).skipped
    after = estimate_texts(recipe, inputs)
    assert after is not None
    assert (after.calls, after.kept) == (0, first.calls)
    tasks = {task.name for task in training_mixture(recipe, inputs, load_catalog(recipe)).tasks}
    assert {"itemsearch", "preferenceobtain"} <= tasks


def test_nothing_is_spent_without_a_yes(tmp_path: Path, writer: str) -> None:
    run = CliRunner().invoke(
        app, ["write-texts", "quickstart-tasks", *options(tmp_path, writer)], input="n\n"
    )
    assert run.exit_code == 1
    assert "texts to write" in run.output
    assert "in the currency of the prices" in run.output
    assert not (tmp_path / "texts" / "texts.jsonl").exists()


def test_attributes_leave_nothing_to_write(tmp_path: Path) -> None:
    recipe = Recipe.load("quickstart-tasks", [*SMALL, f"output_dir={tmp_path}"])
    with pytest.raises(GenRecError, match="there is nothing to write"):
        write_texts(recipe)


def test_a_source_without_a_model_is_told() -> None:
    with pytest.raises(GenRecError, match=r"texts\.model must be given"):
        Recipe.load("quickstart-tasks", ["texts.source=endpoint"])
