"""The stage `prefer`: a trained bundle becomes one that prefers, once, with a run of both to compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrec import GenRecError, Recipe
from genrec.evaluation import compare_runs, read_run
from genrec.pipeline import align, prefer
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
    with pytest.raises(GenRecError):
        prefer(Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}"]))


def test_an_item_level_generator_is_refused(tmp_path: Path) -> None:
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", "model.architecture=item_level"])
    align(recipe)
    with pytest.raises(GenRecError, match="learned by language models"):
        prefer(recipe)
