"""A recipe of the item-level generator through all stages: trained, evaluated, taken from its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import load_file

from genrec import GenRecError, Recipe
from genrec.baselines.ranked_lists import empty_lists
from genrec.errors import ArtifactError, ConfigError
from genrec.pipeline import align, build_ids, evaluate
from genrec.pipeline import item_level as stage
from genrec.pipeline.inputs import load_inputs
from genrec.pipeline.item_teacher import item_teacher
from genrec.pipeline.semantic_ids import content_vectors, load_catalog
from genrec.recommender import ItemLevelRanker, ItemLevelRecommender, load_recommender

SMALL = [
    "data.num_items=60",
    "data.num_users=150",
    "embeddings.dim=12",
    "model.architecture=item_level",
    "model.hidden_size=16",
    "model.num_layers=1",
    "model.num_heads=2",
    "model.intermediate_size=16",
    "align.max_steps=6",
    "align.evaluate_every=3",
    "align.batch_size=16",
    "align.validation_users=40",
    "align.threads=1",
    "decode.num_beams=5",
    "decode.mix_content=true",
    "evaluate.bootstrap=0",
    "evaluate.tune_baselines=false",
]


def test_all_stages_run_and_the_mixture_has_a_row(tmp_path: Path) -> None:
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}"])
    build_ids(recipe)
    trained = align(recipe)
    assert not trained.skipped
    assert align(recipe).skipped
    recommender = load_recommender(trained.folder)
    assert isinstance(recommender, ItemLevelRecommender)
    assert recommender.settings.content_weight > 0
    tried = (tmp_path / "align" / "content_weight.jsonl").read_text().splitlines()
    best = max((json.loads(line) for line in tried), key=lambda row: row["ndcg@10"])
    assert recommender.settings.content_weight == best["weight"]
    evaluated = evaluate(recipe)
    report = json.loads((evaluated.folder / "report.json").read_text())
    names = [row["name"] for row in report["rankers"]]
    assert names[:2] == ["genrec", "item-level + content"]
    assert all(row["invalid_rate"] == row["duplicate_rate"] == 0 for row in report["rankers"][:2])
    assert evaluate(recipe).skipped
    history = recommender.catalog.item_ids[:3]
    again = load_recommender(trained.folder)
    assert again.recommend(history, k=5) == recommender.recommend(history, k=5)
    assert "test" in again.metrics


def test_content_that_only_harms_is_left_out(tmp_path: Path) -> None:
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}"])
    inputs = load_inputs(recipe)
    build_ids(recipe, inputs)
    catalog, cases = load_catalog(recipe), inputs.split.validation
    answers = dict(zip(cases.histories, cases.targets, strict=True))

    class Knows:
        """Names the target alone, with a probability that the smallest share of content outweighs."""

        name = "knows"

        def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
            items, scores = empty_lists(len(histories), k)
            items[:, 0] = [answers[tuple(history)] for history in histories]
            scores[:, 0] = -20
            return items, scores

    settings = stage._settings(recipe, inputs, catalog, cast(Any, Knows()), tmp_path)
    assert settings.content_weight == 0
    content = np.random.default_rng(0).normal(size=(len(catalog), 4)).astype(np.float32)
    model = stage.untrained_model(recipe, catalog, content)
    recommender = ItemLevelRecommender(
        model, catalog, inputs.items, settings=settings, embeddings=content_vectors(recipe, inputs.items)
    )
    alone = ItemLevelRanker(model, catalog, num_beams=settings.num_beams)
    found = zip(recommender.ranker.rank(cases.histories, 7), alone.rank(cases.histories, 7), strict=True)
    assert all((ours == its).all() for ours, its in found)


def test_going_on_from_a_bundle_is_refused(tmp_path: Path) -> None:
    first = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path / 'one'}", "decode.mix_content=false"])
    bundle = align(first).folder
    with pytest.raises(GenRecError, match="leave out start_from"):
        Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path / 'two'}", f"start_from={bundle}"])


def test_channels_and_varied_rows_reach_the_model(tmp_path: Path) -> None:
    recipe = Recipe.load(
        "quickstart",
        [
            *SMALL,
            f"output_dir={tmp_path}",
            "decode.mix_content=false",
            "item_level.channels=[content, words, successors]",
            "item_level.channel_dim=10",
            "item_level.node_levels=1",
            "item_level.far_targets=0.3",
            "item_level.soft_targets=0.2",
            "item_level.label_smoothing=0.1",
        ],
    )
    recommender = load_recommender(align(recipe).folder)
    assert isinstance(recommender, ItemLevelRecommender)
    config = recommender.model.config
    assert (config.content_dim, config.node_levels, config.label_smoothing) == (30, 1, 0.1)
    assert recommender.recommend(recommender.catalog.item_ids[:3], k=5)


def test_a_teacher_is_made_once_and_learned_from(tmp_path: Path) -> None:
    taught = [*SMALL, f"output_dir={tmp_path}", "decode.mix_content=false", "item_level.teacher_share=0.5"]
    recipe = Recipe.load("quickstart", taught)
    align(recipe)
    teacher = tmp_path / "align" / "teacher"
    lists = load_file(teacher / "lists.safetensors")
    assert lists["rows"].shape == lists["shares"].shape
    totals = lists["shares"].sum(axis=1)
    assert set(totals.round(4).tolist()) == {0.0, 1.0}
    assert len((teacher / "mixture.jsonl").read_text().splitlines()) == 5  # floors
    inputs = load_inputs(recipe)
    embeddings = content_vectors(recipe, inputs.items)
    item_ids = load_catalog(recipe).item_ids
    again = item_teacher(recipe, inputs, embeddings, item_ids, teacher)
    assert again is not None
    assert (again.rows == lists["rows"]).all()
    (teacher / "lists.safetensors").write_bytes(b"short")
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        item_teacher(recipe, inputs, embeddings, item_ids, teacher)


def test_a_teacher_needs_rows_that_stay_as_they_are() -> None:
    with pytest.raises(ConfigError, match="teacher_share"):
        Recipe.load("quickstart", [*SMALL, "item_level.teacher_share=0.5", "item_level.crop=0.5"])
