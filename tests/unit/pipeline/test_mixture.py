"""A recipe's tasks: their options, their sources, and a look at their rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genrec import Recipe
from genrec.pipeline import Preview, load_inputs, preview
from genrec.pipeline.mixture import sources_digest, training_mixture
from genrec.pipeline.semantic_ids import catalog_for_a_look
from genrec.tasks import TaskMixture

SMALL = ["data.num_items=60", "data.num_users=150", "model.text_vocab_size=300"]


def recipe(folder: Path, *more: str) -> Recipe:
    return Recipe.load("quickstart-tasks", [*SMALL, f"output_dir={folder}", *more])


def mixture(chosen: Recipe) -> TaskMixture:
    inputs = load_inputs(chosen)
    return training_mixture(chosen, inputs, catalog_for_a_look(chosen, inputs)[0])


def looked(chosen: Recipe) -> Preview:
    return preview(chosen, per_task=2)


def test_weights_and_caps_are_those_of_the_recipe(tmp_path: Path) -> None:
    found = mixture(recipe(tmp_path, "tasks.fusionseqrec.cap=7", "tasks.item2index.weight=0.5"))
    counts = {task.name: int(n) for task, n in zip(found.tasks, found.counts, strict=True)}
    assert counts["fusionseqrec"] == 7
    assert counts["item2index"] == 30
    assert counts["seqrec"] == 150


def test_a_preview_shows_every_task_with_its_answer(tmp_path: Path) -> None:
    found = looked(recipe(tmp_path))
    assert [row.task for row in found.rows[::2]] == list(found.counts)
    assert not found.real_ids
    assert all(0 < row.num_learned < row.num_tokens for row in found.rows)
    item2index = next(row for row in found.rows if row.task == "item2index")
    assert [piece.is_id for piece in item2index.pieces if piece.learned] == [
        True,
        False,
    ]


def test_documents_are_read_from_the_source_of_their_task(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("nothing but plain words, over and over. " * 50)
    chosen = recipe(tmp_path, f"tasks.text.source={tmp_path / 'more.txt'}")
    assert "text" in [task.name for task in mixture(chosen).tasks]
    before = sources_digest(chosen)
    (tmp_path / "more.txt").write_text("other words")
    assert sources_digest(chosen) != before


def test_cold_items_are_in_no_row(tmp_path: Path) -> None:
    chosen = recipe(tmp_path, "data.split=cold_items", "data.cold_share=0.2")
    inputs = load_inputs(chosen)
    catalog, _ = catalog_for_a_look(chosen, inputs)
    hidden = {catalog.tokens(item) for item in inputs.split.held_out}
    assert hidden
    for row in preview(chosen, inputs, per_task=40).rows:
        shown = "".join(piece.text for piece in row.pieces)
        assert not any("".join(tokens) in shown for tokens in hidden), row


def test_an_item_level_recipe_shows_histories_with_ids_spelled_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from genrec.cli.preview import preview as command

    small = ["data.num_items=60", "data.num_users=150", "model.architecture=item_level"]
    small.append(f"output_dir={tmp_path}")
    chosen = Recipe.load("quickstart", small)
    found = preview(chosen, per_task=2)
    assert list(found.counts) == ["seqrec"]
    assert [row.task for row in found.rows] == ["seqrec"] * 2
    length = catalog_for_a_look(chosen, load_inputs(chosen))[0].spec.length
    for row in found.rows:
        learned = [piece for piece in row.pieces if piece.learned and piece.is_id]
        assert learned
        assert 0 < row.num_learned < row.num_tokens
        assert sum(piece.text.count("<") for piece in learned) % length == 0  # whole items
    command("quickstart", small, rows=1, epoch=0, as_json=False)
    shown = capsys.readouterr().out
    assert "An item-level generator reads an item as one position" in shown
    assert f"seqrec: row 0 of epoch 0; {found.counts['seqrec']:,} rows an epoch" in shown


def test_the_command_prints_the_loss_mask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from genrec.cli.preview import preview as command

    command("quickstart-tasks", [*SMALL, f"output_dir={tmp_path}"], rows=1, epoch=0, as_json=False)
    shown = capsys.readouterr().out
    assert "seqrec: row 0 of epoch 0; 150 rows an epoch" in shown
    assert shown.count("[[") == shown.count("]]") == 6
    command("quickstart-tasks", [*SMALL, f"output_dir={tmp_path}"], rows=1, epoch=0, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == 6
