"""Bundles that were damaged or made to harm: a clear error, never another answer, never code."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from genrec.artifacts import manifest_text, read_manifest
from genrec.errors import ArtifactError, GenRecError
from genrec.hub import weights_digest
from genrec.recommender import load_recommender

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
KINDS = ("bundle_v1", "item_level_bundle_v1")


@pytest.fixture(scope="module", params=KINDS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of today's format, of each kind."""
    folder = tmp_path_factory.mktemp("saved") / "bundle"
    old = tmp_path_factory.mktemp("old") / "bundle"
    shutil.copytree(FIXTURES / str(request.param), old)
    load_recommender(old).save_pretrained(folder)
    return folder


def files(folder: Path) -> Iterator[Path]:
    return iter(sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size))


def hits(content: bytes, seed: str) -> Iterator[bytes]:
    """The file cut in half, cut by one byte, emptied, and with one bit flipped at three places."""
    yield content[: len(content) // 2]
    yield content[:-1]
    yield b""
    chosen = random.Random(seed)
    for place in (0, chosen.randrange(len(content)), len(content) - 1):
        yield content[:place] + bytes([content[place] ^ (1 << chosen.randrange(8))]) + content[place + 1 :]


def test_every_file_cut_or_with_a_flipped_bit_is_refused_by_name(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "bundle")
    for path in files(tmp_path / "bundle"):
        good = path.read_bytes()
        for bad in hits(good, path.name):
            path.write_bytes(bad)
            with pytest.raises(ArtifactError) as refused:
                load_recommender(tmp_path / "bundle")
            assert path.name in str(refused.value)
            assert refused.value.remedy
        path.unlink()
        with pytest.raises(ArtifactError, match=path.name):
            load_recommender(tmp_path / "bundle")
        path.write_bytes(good)
    assert load_recommender(tmp_path / "bundle").recommend(["i1"], 3)


def test_damage_under_a_manifest_that_was_made_to_fit_is_a_clean_error_or_another_sound_bundle(
    saved: Path, tmp_path: Path
) -> None:
    """What cannot be told from a bundle saved so must at least raise nothing but genrec's own errors."""
    shutil.copytree(saved, tmp_path / "bundle")
    refused = 0
    for path in files(tmp_path / "bundle"):
        if path.name == "manifest.json" and path.parent == tmp_path / "bundle":
            continue
        good = path.read_bytes()
        for bad in hits(good, path.name):
            path.write_bytes(bad)
            reseal(tmp_path / "bundle")
            try:
                found = load_recommender(tmp_path / "bundle").recommend(["i1"], 12)
            except GenRecError:
                refused += 1
            else:
                ids = [one.item_id for one in found]
                assert len(set(ids)) == len(ids)
        path.write_bytes(good)
    assert refused > 20


def reseal(folder: Path) -> None:
    """A manifest that says of every file what it is now, weights included."""
    from genrec.artifacts import file_sha256

    manifest = read_manifest_of(folder)
    hashes = {name: file_sha256(folder / name) for name in manifest["files"] if (folder / name).is_file()}
    facts = manifest["facts"]
    facts["fingerprints"]["weights"] = weights_digest(hashes)
    (folder / "manifest.json").write_text(manifest_text(manifest["kind"], facts, hashes))


def read_manifest_of(folder: Path) -> dict[str, object]:
    manifest: dict[str, object] = json.loads((folder / "manifest.json").read_text())
    return manifest


@pytest.mark.parametrize(
    "name", ["../outside.json", "/etc/passwd", "model/weights.bin", "model/code.py", "x.pkl"]
)
def test_a_manifest_that_reaches_outside_or_names_code_is_refused(
    saved: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(saved, tmp_path / "bundle")
    manifest = read_manifest(tmp_path / "bundle")
    text = manifest_text(manifest["kind"], manifest["facts"], {**manifest["files"], name: "0" * 64})
    (tmp_path / "bundle" / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError):
        load_recommender(tmp_path / "bundle")


def test_a_config_that_asks_for_code_is_refused_without_a_question(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "bundle_v1", tmp_path / "old")
    load_recommender(tmp_path / "old").save_pretrained(tmp_path / "bundle")
    config = tmp_path / "bundle" / "model" / "config.json"
    facts = json.loads(config.read_text())
    facts |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"},
    }
    config.write_text(json.dumps(facts))
    reseal(tmp_path / "bundle")
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_recommender(tmp_path / "bundle")
