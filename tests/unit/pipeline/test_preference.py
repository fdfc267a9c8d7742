"""The stage `prefer`: a trained bundle becomes one that prefers, once, with a run of both to compare."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from genrec import GenRecError, Recipe
from genrec.evaluation import compare_runs, read_run
from genrec.pipeline import align, prefer
from genrec.pipeline import preference as stage
from genrec.recommender import GenerativeRecommender, load_recommender

SMALL = [
    "data.num_items=60",
    "data.num_users=150",
    "embeddings.dim=12",
    "item_tokenizer.definition=rkmeans-3x64",
    "model.hidden_size=16",
    "model.num_layers=1",
    "model.num_heads=2",
    "model.intermediate_size=16",
    "model.text_vocab_size=300",
    "align.max_steps=6",
    "align.evaluate_every=3",
    "align.batch_size=16",
    "align.validation_users=40",
    "align.threads=1",
    "decode.num_beams=5",
    "evaluate.bootstrap=0",
    "preference.steps=4",
    "preference.evaluate_every=2",
    "preference.batch_size=16",
    "preference.num_rejected=2",
]


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with a bundle that was hardly trained."""
    folder = tmp_path_factory.mktemp("aligned")
    align(Recipe.load("quickstart", [*SMALL, f"output_dir={folder}"]))
    return folder


@pytest.mark.parametrize(
    "more", [["preference.rejected=beams"], ["preference.rejected=drawn", "preference.lora_r=0"]]
)
def test_a_bundle_learns_to_prefer_and_is_done_once(tmp_path: Path, more: list[str]) -> None:
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", *more])
    align(recipe)
    result = prefer(recipe)
    assert "validation NDCG@10" in result.message
    assert not result.skipped
    assert prefer(recipe).skipped
    masked = Recipe.load(
        "quickstart", [*SMALL, f"output_dir={tmp_path}", *more, "evaluate.mask_history=true"]
    )
    assert not prefer(masked).skipped  # its runs are others
    before, after = load_recommender(tmp_path / "bundle"), load_recommender(result.folder / "bundle")
    assert isinstance(before, GenerativeRecommender)
    assert isinstance(after, GenerativeRecommender)
    history = before.catalog.item_ids[:3]
    assert [r.score for r in before.recommend(history)] != [r.score for r in after.recommend(history)]
    assert after.metrics["validation"]["step"] in (2, 4)
    runs = [read_run(result.folder / "runs" / name) for name in ("aligned", "preferred")]
    assert [row.name for row in compare_runs(runs, resamples=0, permutations=10).results] == [
        "aligned",
        "preferred",
    ]


def test_without_a_bundle_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(GenRecError) as told:
        prefer(Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}"]))
    assert str(tmp_path / "bundle") in str(told.value)
    assert told.value.remedy
    assert not (tmp_path / "preferred").exists()


def test_several_processes_are_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "process_state", lambda: SimpleNamespace(num_processes=3))
    monkeypatch.setattr(stage, "load_inputs", lambda _: pytest.fail("data were read"))
    with pytest.raises(GenRecError) as told:
        prefer(Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}"]))
    assert str(told.value) == (
        "the stage prefer runs in one process\nreceived: 3 processes\n"
        "what to do: run genrec prefer without accelerate launch"
    )


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("preference.rejected=worst", "preference.rejected"),
        ("preference.num_rejected=0", "preference.num_rejected must be at least 1, not 0"),
        ("preference.beta=0", "preference.beta must be a number above 0, not 0"),
        ("preference.steps=0", "preference.steps must be at least 1, not 0"),
        ("preference.bata=1", r"preference.bata: unknown key; did you mean preference.beta\?"),
    ],
)
def test_settings_that_cannot_be_are_told_by_their_names(override: str, complaint: str) -> None:
    with pytest.raises(GenRecError, match=complaint):
        Recipe.load("quickstart", [override])


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        (
            "preference.num_rejected=500",
            r"too few items to reject(.|\n)*num_rejected=500(.|\n)*set num_rejected to at most \d\d\b",
        ),
        (
            "preference.batch_size=100000",
            r"fewer preferences than one batch(.|\n)*for 100000 a step(.|\n)*to at most 150",
        ),
    ],
)
def test_more_than_the_data_have_is_told_with_what_they_have(
    aligned: Path, override: str, complaint: str
) -> None:
    recipe = Recipe.load(
        "quickstart", [*SMALL, f"output_dir={aligned}", "preference.rejected=drawn", override]
    )
    with pytest.raises(GenRecError, match=complaint):
        prefer(recipe)
    assert not (aligned / "preferred" / "bundle").exists()


def test_an_item_level_generator_is_refused(tmp_path: Path) -> None:
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", "model.architecture=item_level"])
    align(recipe)
    with pytest.raises(GenRecError, match="learned by language models"):
        prefer(recipe)
