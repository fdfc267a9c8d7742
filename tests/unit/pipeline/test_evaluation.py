"""The stage's own pieces: which IDs are shared, where runs go, that a leak stops it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from genrec import GenRecError, Recipe
from genrec.baselines import Popularity
from genrec.catalog import Catalog
from genrec.data import Cases
from genrec.pipeline import Inputs, held_out, load_inputs
from genrec.pipeline import evaluation as stage
from genrec.pipeline.held_out import probe_held_out
from genrec.semantic_ids import SemanticIdSpec, resolve_extra_code

ITEMS = ["a", "b", "c", "d"]


def catalog(native: list[list[int]], *, extra: bool) -> Catalog:
    codes = np.array(native, dtype=np.int32)
    if not extra:
        return Catalog(ITEMS, codes, SemanticIdSpec((8, 8)), native_codes=codes)
    return Catalog(ITEMS, resolve_extra_code(codes, 4), SemanticIdSpec((8, 8, 4)), native_codes=codes)


def test_ids_that_an_extra_code_tells_apart_are_shared() -> None:
    found = stage.shared_ids(catalog([[1, 2], [1, 2], [3, 4], [1, 3]], extra=True))
    assert found is not None
    assert found["a"] == found["b"]
    assert len(set(found.values())) == 3


def test_ids_of_their_own_are_not_counted_twice() -> None:
    assert stage.shared_ids(catalog([[1, 2], [1, 4], [3, 4], [1, 3]], extra=True)) is None
    assert stage.shared_ids(catalog([[1, 2], [1, 4], [3, 4], [1, 3]], extra=False)) is None


def test_a_leak_stops_the_stage_before_any_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe.load("quickstart", ["data.num_items=60", "data.num_users=80", f"output_dir={tmp_path}"])
    inputs = load_inputs(recipe)
    test = inputs.split.test
    histories = [(*history, target) for history, target in zip(test.histories, test.targets, strict=True)]
    leaking = dataclasses.replace(
        inputs, split=dataclasses.replace(inputs.split, test=Cases(test.user_ids, histories, test.targets))
    )

    class Bundle:
        recipe: ClassVar = {}
        catalog = catalog([[1, 2], [1, 4], [3, 4], [1, 3]], extra=False)

    monkeypatch.setattr(stage, "load_recommender", lambda *_, **__: Bundle())
    monkeypatch.setattr(stage, "align_fingerprint", lambda *_: "")
    monkeypatch.setattr(stage, "rankers", lambda *_: pytest.fail("a ranker was asked"))
    with pytest.raises(GenRecError, match="not what its user had before the target"):
        stage.evaluate(recipe, leaking)
    assert not (tmp_path / "evaluation").exists()


def test_other_data_settings_than_the_bundles_are_told() -> None:
    recipe = Recipe.load("quickstart", ["data.items=a.jsonl"])
    assert stage.changed_data(recipe, {}) == []
    assert stage.changed_data(recipe, recipe.to_mapping()) == []
    assert stage.changed_data(Recipe.load("quickstart", ["data.items=b.jsonl"]), recipe.to_mapping()) == []
    other = Recipe.load("quickstart", ["data.split=time", "seed=3"])
    assert stage.changed_data(other, recipe.to_mapping()) == [
        "data.split was 'leave_one_out' and is 'time'",
        "seed was 0 and is 3",
    ]


CLUSTERS = "index_method: {method: collaborative, depth: 2, branching: 4, leaf_size: 8}"
SMALL = ["data.num_items=60", "data.num_users=80", "embeddings.dim=8", "embeddings.fusion_dim=6"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return load_inputs(Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path_factory.mktemp('world')}"]))


def with_retired(inputs: Inputs, share: int = 3) -> Catalog:
    """IDs of all items of a world, every third of which is retired."""
    ids = inputs.items.canonical_ids
    codes = np.stack(np.divmod(np.arange(len(ids), dtype=np.int32), 8), axis=1)
    return Catalog(ids, codes, SemanticIdSpec((8, 8))).retire(ids[::share])


def test_no_ranker_names_a_retired_item(world: Inputs, tmp_path: Path) -> None:
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", "evaluate.tune_baselines=false"])
    catalog, histories = with_retired(world), list(world.split.test.histories[:5])
    makers = stage.rankers(recipe, world, cast(Any, SimpleNamespace(catalog=catalog)))
    names = set()
    for make in makers[1:]:  # the first is the bundle's own
        ranker = make()
        names.add(ranker.name)
        named = set(ranker.rank(histories, 60)[0].ravel().tolist()) - {""}
        assert named
        assert not named & set(catalog.retired_ids), ranker.name
    assert names == {"popularity", "item-knn", "content-knn", "markov-knn", "random", "oracle"}


def test_cases_that_ask_for_a_retired_item_are_left_out_and_counted(
    world: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", "evaluate.bootstrap=0"])
    catalog = with_retired(world)
    bundle = SimpleNamespace(recipe={}, catalog=catalog, metrics={}, save_pretrained=lambda folder: None)
    monkeypatch.setattr(stage, "load_recommender", lambda *_, **__: bundle)
    monkeypatch.setattr(stage, "align_fingerprint", lambda *_: "")
    monkeypatch.setattr(
        stage, "rankers", lambda *_: [lambda: Popularity(world.split.train, catalog.item_ids)]
    )
    report = json.loads((stage.evaluate(recipe, world).folder / "report.json").read_text())
    gone = sum(target in catalog.retired_ids for target in world.split.test.targets)
    (row,) = report["rankers"]
    assert 0 < gone
    assert row["cases"] == len(world.split.test) - gone
    assert row["invalid_rate"] > 0  # a list that does name retired items names what may not be named
    assert report["facts"]["cases left out"] == f"{gone}, whose answers are retired items"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ([], ()),
        (["item_tokenizer.definition={folder}/clusters.yaml"], ("Semantic IDs",)),
        (["embeddings.collaborative=als"], ("vectors of the IDs",)),
        (
            ["model.architecture=item_level", "item_level.channels=[content, successors]"],
            ("successor vectors",),
        ),
    ],
)
def test_what_is_made_of_interactions_is_made_of_the_training_part(
    world: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], what: tuple[str, ...]
) -> None:
    (tmp_path / "clusters.yaml").write_text(CLUSTERS)
    more = [override.format(folder=tmp_path) for override in more]
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", *more])
    assert probe_held_out(recipe, world) == what
    if what:  # all of the log in place of its training part
        monkeypatch.setattr(
            held_out, "split_log", lambda log, data: dataclasses.replace(world.split, train=log)
        )
        with pytest.raises(GenRecError, match=f"{what[0]} were made from held-out interactions"):
            probe_held_out(recipe, world)


def test_held_out_interactions_that_are_known_stop_the_stage(
    world: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clusters.yaml").write_text(CLUSTERS)
    made = f"item_tokenizer.definition={tmp_path / 'clusters.yaml'}"
    recipe = Recipe.load("quickstart", [*SMALL, f"output_dir={tmp_path}", made])
    bundle = SimpleNamespace(recipe={}, catalog=with_retired(world))
    monkeypatch.setattr(stage, "load_recommender", lambda *_, **__: bundle)
    monkeypatch.setattr(stage, "align_fingerprint", lambda *_: "")
    monkeypatch.setattr(stage, "rankers", lambda *_: pytest.fail("a ranker was asked"))
    monkeypatch.setattr(held_out, "split_log", lambda log, data: dataclasses.replace(world.split, train=log))
    with pytest.raises(GenRecError, match="Semantic IDs were made from held-out interactions"):
        stage.evaluate(recipe, world)
    assert not (tmp_path / "evaluation").exists()


def test_a_report_is_made_anew_when_what_it_says_may_have_changed_and_only_then(
    world: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogs = [with_retired(world), with_retired(world, share=5)]
    bundle = SimpleNamespace(recipe={}, catalog=catalogs[0], metrics={}, save_pretrained=lambda folder: None)
    asked: list[str] = []

    def popularity(recipe: Recipe, inputs: Inputs, recommender: Any) -> list[Any]:
        asked.append("ranked")
        return [lambda: Popularity(inputs.split.train, stage.offered(recommender.catalog))]

    monkeypatch.setattr(stage, "load_recommender", lambda *_, **__: bundle)
    monkeypatch.setattr(stage, "rankers", popularity)

    def made(*more: str) -> bool:
        """Whether the stage ran, which its result and the rankers that were asked must agree on."""
        asked.clear()
        settings = [*SMALL, f"output_dir={tmp_path}", "evaluate.bootstrap=0", *more]
        skipped = stage.evaluate(Recipe.load("quickstart", settings), world).skipped
        assert bool(asked) is not skipped
        return not skipped

    assert made()
    assert not made()
    for weightless in ("align.keep_checkpoints=7", "align.logging_steps=9", "preference.beta=0.5"):
        assert not made(weightless), weightless
    for change in ("evaluate.ks=[10]", "decode.num_beams=3", "align.learning_rate=0.5", "embeddings.dim=6"):
        assert made(change), change
    assert made()  # the last report is of other settings
    bundle.catalog = catalogs[1]  # items were retired or came back, under the same recipe
    assert made()
    assert not made()
    monkeypatch.setattr(stage, "VERSION", stage.VERSION + 1)
    assert made()
    (tmp_path / "evaluation" / "report.json").unlink()
    assert made()
    assert not (tmp_path / "bundle").exists()  # no other stage ran
    assert not (tmp_path / "ids").exists()
