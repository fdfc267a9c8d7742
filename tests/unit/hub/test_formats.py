"""Bundles of the format before are read, and become today's when they are saved again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from genrec.artifacts import FORMAT_VERSION, read_manifest
from genrec.hub import open_bundle
from genrec.hub.bundle_facts import MIGRATIONS
from genrec.hub.publication import prepare
from genrec.recommender import load_recommender

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
NAMES = ["bundle_v1", "item_level_bundle_v1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_of_format_1_answers_as_it_did(name: str, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / name, tmp_path / name)
    assert read_manifest(tmp_path / name)["format_version"] == FORMAT_VERSION - 1
    expected = json.loads((FIXTURES / "expected_v1.json").read_text())[name]
    old = load_recommender(tmp_path / name)
    found = old.recommend(["i1", "i2"], 5)
    assert [r.item_id for r in found] == [item for item, _ in expected]
    assert [r.score for r in found] == pytest.approx([score for _, score in expected], abs=1e-4)
    assert old.item_tokenizer is not None

    old.save_pretrained(tmp_path / "again")
    assert read_manifest(tmp_path / "again")["format_version"] == FORMAT_VERSION
    facts = open_bundle(tmp_path / "again", kind=read_manifest(tmp_path / "again")["kind"])
    assert "weights" in facts["fingerprints"]
    assert load_recommender(tmp_path / "again").recommend(["i1", "i2"], 5) == found


def test_it_is_published_in_todays_format(tmp_path: Path) -> None:
    publication = prepare(FIXTURES / "bundle_v1", tmp_path, "titles")
    manifest = json.loads(publication.manifest)
    assert manifest["format_version"] == FORMAT_VERSION
    assert set(manifest["facts"]["fingerprints"]) == {"catalog", "vocabulary", "items", "weights"}
    assert manifest["facts"]["items_kept"] == "titles"


def test_a_quantised_bases_digest_is_kept_and_a_plain_ones_is_not_known_under_others() -> None:
    base = {"name": "a/b", "digest": "d"}
    of_plain = MIGRATIONS[1]({"catalog": "c", "base": {**base, "quantization": None}})
    of_quantised = MIGRATIONS[1]({"catalog": "c", "base": {**base, "quantization": "4bit"}})
    assert of_plain["base"]["kept_digest"] == ""
    assert of_quantised["base"]["kept_digest"] == "d"
    assert of_plain["fingerprints"] == {"catalog": "c"}
