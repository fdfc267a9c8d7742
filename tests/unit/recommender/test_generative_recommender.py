"""The recommender: real items only, one policy for odd histories, and bundles that come back whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genrec import GenerativeRecommender, ItemTable
from genrec.catalog import Catalog
from genrec.errors import ArtifactError, DataError, DecodingError, GenRecError
from genrec.recommender.bundle import BundleSettings
from genrec.tasks import load_templates

IDS = [f"i{row}" for row in range(30)]


@pytest.fixture(scope="module")
def recommender(make_tiny: Callable[..., Any]) -> GenerativeRecommender:
    tiny = make_tiny(30)
    items = ItemTable.from_rows({"item_id": item, "title": f"Title of {item}", "price": 1.5} for item in IDS)
    catalog = Catalog(IDS, tiny.codes, tiny.vocabulary.spec)
    settings = BundleSettings(max_history=4, num_beams=8, popular_items=("i7", "i3", "i9"))
    return GenerativeRecommender(
        tiny.model, tiny.text_tokenizer, tiny.vocabulary, catalog, items, settings=settings, metrics={"a": 1}
    )


@pytest.fixture(scope="module")
def bundle(recommender: GenerativeRecommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    recommender.save_pretrained(folder)
    return folder


@given(st.lists(st.sampled_from(IDS), max_size=12), st.integers(1, 40))
def test_only_real_items_come_out_best_first_and_none_of_the_history(
    recommender: GenerativeRecommender, history: list[str], k: int
) -> None:
    found = recommender.recommend(history, k)
    ids = [r.item_id for r in found]
    assert len(ids) == len(set(ids))
    assert len(ids) == (min(k, 30 - len(set(history))) if history else min(k, 3))
    assert not set(ids) & set(history)
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
    for r in found:
        assert r.title == f"Title of {r.item_id}"
        assert r.semantic_id == recommender.catalog.tokens(r.item_id)


def test_only_the_newest_items_count(recommender: GenerativeRecommender) -> None:
    newest = ["i5", "i6", "i2", "i5"]
    long = recommender.recommend(["i20", *newest], 5, exclude_history=False)
    assert long == recommender.recommend(newest, 5, exclude_history=False)
    assert "i20" not in {r.item_id for r in recommender.recommend(["i20", *newest], 29)}


def test_history_items_may_come_back_when_asked_for(recommender: GenerativeRecommender) -> None:
    everything = {r.item_id for r in recommender.recommend(["i1", "i2"], 30, exclude_history=False)}
    assert everything == set(IDS)


def test_an_empty_history_gets_the_most_used_items(recommender: GenerativeRecommender) -> None:
    assert [r.item_id for r in recommender.recommend([], 10)] == ["i7", "i3", "i9"]


def test_unknown_items_follow_the_policy(recommender: GenerativeRecommender) -> None:
    with pytest.raises(DataError, match="not in the catalog\nreceived: 'x'"):
        recommender.recommend(["i1", "x"])
    assert recommender.recommend(["i1", "x"], 3, unknown="skip") == recommender.recommend(["i1"], 3)
    assert [r.item_id for r in recommender.recommend(["x"], 2, unknown="skip")] == ["i7", "i3"]


@pytest.mark.parametrize(
    ("arguments", "error", "expected"),
    [
        ({"history": "i1"}, DataError, r"pass \['i1'\]"),
        ({"history": ["i1"], "k": 0}, DecodingError, "asked for no item"),
        ({"history": ["i1"], "unknown": "ignore"}, DataError, "use 'error' or 'skip'"),
    ],
)
def test_wrong_calls_get_a_clear_error(
    recommender: GenerativeRecommender, arguments: dict[str, Any], error: type[GenRecError], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        recommender.recommend(**arguments)


def test_a_catalog_item_without_a_row_is_refused(recommender: GenerativeRecommender) -> None:
    with pytest.raises(DataError, match="the first is 'i"):
        GenerativeRecommender(
            recommender.model,
            recommender.text_tokenizer,
            recommender.vocabulary,
            recommender.catalog,
            recommender.items.subset(IDS[:20]),
        )


def test_a_ranker_gives_the_same_alone_and_in_a_batch(recommender: GenerativeRecommender) -> None:
    rng = np.random.default_rng(0)
    histories = [[IDS[i] for i in rng.integers(0, 30, n)] for n in (1, 4, 0, 2, 9, 3, 1, 6)]
    items, scores = recommender.ranker.rank(histories, 6)
    for row, history in enumerate(histories):
        alone_items, alone_scores = recommender.ranker.rank([history], 6)
        assert alone_items[0].tolist() == items[row].tolist()
        np.testing.assert_allclose(alone_scores[0], scores[row], atol=1e-4)


def test_a_bundle_comes_back_with_the_same_answers(recommender: GenerativeRecommender, bundle: Path) -> None:
    again = GenerativeRecommender.from_pretrained(bundle)
    for history in (["i1"], ["i4", "i9", "i2"], []):
        expected, found = recommender.recommend(history, 8), again.recommend(history, 8)
        assert [r.item_id for r in found] == [r.item_id for r in expected]
        assert [r.score for r in found] == pytest.approx([r.score for r in expected], abs=1e-6)
    assert (again.settings, again.metrics) == (recommender.settings, {"a": 1})
    assert again.items.fingerprint() == recommender.items.fingerprint()


def test_a_bundle_remembers_the_wording_its_model_is_asked_in(
    recommender: GenerativeRecommender, tmp_path: Path
) -> None:
    template = load_templates("seqrec")["next_item"].training[0]
    parts = (recommender.model, recommender.text_tokenizer, recommender.vocabulary, recommender.catalog)
    settings = replace(recommender.settings, template=template.prompt)
    prompted = GenerativeRecommender(*parts, recommender.items, settings=settings)
    ids = prompted.ranker.builder.history(recommender.catalog.codes[:2])
    shown = recommender.text_tokenizer.decode(ids)
    assert shown.startswith("<|bos|>" + template.prompt.partition("{history}")[0])
    assert prompted.recommend(["i1"], 8) != recommender.recommend(["i1"], 8)
    prompted.save_pretrained(tmp_path / "bundle")
    again = GenerativeRecommender.from_pretrained(tmp_path / "bundle")
    assert again.settings == settings
    assert [r.item_id for r in again.recommend(["i1"], 8)] == [
        r.item_id for r in prompted.recommend(["i1"], 8)
    ]


def test_a_bundle_names_every_file_in_its_manifest(bundle: Path) -> None:
    files = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()} - {"manifest.json"}
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert set(manifest["files"]) == files
    assert {
        "model/model.safetensors",
        "vocabulary.json",
        "items.parquet",
        "recipe.yaml",
        "metrics.json",
    } <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]


@given(st.data())
def test_one_flipped_bit_anywhere_is_refused(
    bundle: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip") / "bundle"
    shutil.copytree(bundle, folder)
    path = data.draw(
        st.sampled_from(sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size))
    )
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        GenerativeRecommender.from_pretrained(folder)


def test_parts_of_another_bundle_are_refused_even_with_a_sound_manifest(
    recommender: GenerativeRecommender, bundle: Path, make_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    from genrec.artifacts import saved_artifact

    other = make_tiny(30, seed=5)
    facts = json.loads((bundle / "manifest.json").read_text())["facts"]
    with saved_artifact(tmp_path / "mixed", kind="bundle", facts=facts) as temporary:
        shutil.copytree(bundle, temporary, dirs_exist_ok=True)
        (temporary / "manifest.json").unlink()
        shutil.rmtree(temporary / "catalog")
        Catalog(IDS, other.codes, other.vocabulary.spec).save(temporary / "catalog")
    with pytest.raises(ArtifactError, match=r"do not belong together\nreceived: catalog differ"):
        GenerativeRecommender.from_pretrained(tmp_path / "mixed")


def test_no_user_and_no_history_is_in_a_bundle(bundle: Path) -> None:
    for path in bundle.rglob("*"):
        if path.is_file():
            assert b"user_id" not in path.read_bytes(), path


def test_the_model_is_in_evaluation_mode_after_loading(bundle: Path) -> None:
    again = GenerativeRecommender.from_pretrained(bundle)
    assert not again.model.training
    assert next(again.model.parameters()).dtype == torch.float32
