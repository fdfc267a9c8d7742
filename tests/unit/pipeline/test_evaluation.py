"""The stage's own pieces: which IDs are shared, where runs go, that a leak stops it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from genrec import GenRecError, Recipe
from genrec.catalog import Catalog
from genrec.data import Cases
from genrec.pipeline import evaluation as stage
from genrec.pipeline import load_inputs
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
