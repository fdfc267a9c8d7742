"""Adapters on the hub: small, on the base's own revision, under its terms, and on no other base."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

LOAD = "[r.item_id for r in recommender.load_recommender({}).recommend(['i1', 'i2'], 5)]"


@pytest.fixture(scope="module")
def make_hub_base(
    client: Any, make_base: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Puts a tiny base model on the hub; its card says Apache-2.0. Returns the commit."""

    def make(repo: str, family: str = "qwen3", **options: Any) -> str:
        folder = tmp_path_factory.mktemp("base")
        model, text_tokenizer = make_base(family, **options)
        model.save_pretrained(folder)
        text_tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nA base.\n")
        (folder / "LICENSE").write_text("The text of the licence.\n")
        commit: str = client("upload_base(folder, repo)", folder=folder, repo=repo)
        return commit

    return make


def test_adapters_go_up_without_their_base_and_come_back_on_its_revision(
    hub: Any, client: Any, make_hub_base: Callable[..., str], tmp_path: Path
) -> None:
    first = make_hub_base("base/plain", tied=False)
    expected = client("adapter_bundle('base/plain', folder)", folder=tmp_path / "bundle")
    client("hub.publish_bundle(folder, 'me/adapters')", folder=tmp_path / "bundle")
    files = hub.repos["me/adapters"].files()
    assert {n for n in files if n.startswith("model/")} == {
        "model/adapter_config.json",
        "model/adapter_model.safetensors",
    }
    facts = json.loads(files["manifest.json"])["facts"]
    assert (facts["base"]["name"], facts["base"]["revision"]) == ("base/plain", first)
    card = ModelCard(files["README.md"].decode())
    assert (card.data.license, card.data.base_model) == ("apache-2.0", "base/plain")
    assert first in card.text
    assert files["base_model_license/LICENSE"] == b"The text of the licence.\n"

    make_hub_base("base/plain", tied=False, seed=1)  # the base's makers train on
    assert client(LOAD.format("'me/adapters'")) == expected
    moved = client.refused(LOAD.format("'me/adapters', base='base/plain'"))
    assert "of another revision" in moved["problem"]
    assert first in moved["received"]
    make_hub_base("base/other", tied=False, seed=1)
    other = client.refused(LOAD.format("'me/adapters', base='base/other'"))
    assert "not the one the adapter was trained on" in other["problem"]
    hub.repos["base/plain"].commits.pop(first)
    gone = client.refused(
        LOAD.format("'me/adapters', base=None") + " if not __import__('shutil').rmtree(cache) else 0",
        cache=client("__import__('huggingface_hub').constants.HF_HUB_CACHE + '/models--base--plain'"),
    )
    assert f"base/plain at {first} cannot be loaded" in gone["problem"]


def test_gemmas_terms_are_carried_whatever_a_copys_card_says(
    hub: Any, client: Any, make_hub_base: Callable[..., str], tmp_path: Path
) -> None:
    make_hub_base("somebody/tuned", family="gemma3_text")
    client("adapter_bundle('somebody/tuned', folder)", folder=tmp_path / "bundle")
    wrong = "hub.publish_bundle(folder, 'me/terms', license='apache-2.0')"
    assert "stays under its licence" in client.refused(wrong, folder=tmp_path / "bundle")["problem"]
    assert "me/terms" not in hub.repos
    client("hub.publish_bundle(folder, 'me/terms')", folder=tmp_path / "bundle")
    files = hub.repos["me/terms"].files()
    assert ModelCard(files["README.md"].decode()).data.license == "gemma"
    assert b"Gemma Terms of Use" in files["NOTICE"]


def test_an_adapter_of_another_vocabulary_is_refused(
    client: Any, make_hub_base: Callable[..., str], tmp_path: Path
) -> None:
    make_hub_base("base/rows")
    client("adapter_bundle('base/rows', folder)", folder=tmp_path / "bundle")
    config = tmp_path / "bundle/model/adapter_config.json"
    facts = json.loads(config.read_text())
    rows = facts["trainable_token_indices"]
    facts["trainable_token_indices"] = {name: ids[:-1] for name, ids in rows.items()}
    resealed(tmp_path / "bundle", tmp_path / "sealed", {config: json.dumps(facts)})
    error = client.refused(LOAD.format("folder"), folder=str(tmp_path / "sealed"))
    assert "the adapter was trained with another vocabulary" in error["problem"]


def resealed(folder: Path, target: Path, changed: dict[Path, str]) -> None:
    """A copy with changed files and a manifest that says that all is well."""
    from genrec.artifacts import read_manifest, saved_artifact

    for path, text in changed.items():
        path.write_text(text)
    manifest = read_manifest(folder)
    with saved_artifact(target, kind=manifest["kind"], facts=manifest["facts"]) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True)
        (temporary / "manifest.json").unlink()


def test_adapters_on_a_folder_of_this_machine_are_not_published(
    hub: Any, client: Any, make_base: Callable[..., Any], tmp_path: Path
) -> None:
    model, text_tokenizer = make_base()
    model.save_pretrained(tmp_path / "base")
    text_tokenizer.save_pretrained(tmp_path / "base")
    client("adapter_bundle(base, folder)", base=str(tmp_path / "base"), folder=tmp_path / "bundle")
    error = client.refused("hub.publish_bundle(folder, 'me/local')", folder=tmp_path / "bundle")
    assert "nobody else could load them" in error["problem"]
    assert "me/local" not in hub.repos


@pytest.mark.slow
def test_the_quantisation_of_a_base_may_be_another_than_in_training(
    client: Any, make_hub_base: Callable[..., str], tmp_path: Path
) -> None:
    make_hub_base("base/wide", width=64)
    plain = client("adapter_bundle('base/wide', folder)", folder=tmp_path / "plain")
    small = "recommender.load_recommender(folder, quantization=kind)"
    loaded = f"type({small}.model.get_base_model().model.layers[0].mlp.up_proj.base_layer).__name__"
    assert client(loaded, folder=str(tmp_path / "plain"), kind="4bit") == "Linear4bit"
    assert client(loaded, folder=str(tmp_path / "plain"), kind="8bit") == "Linear8bitLt"
    assert client(loaded, folder=str(tmp_path / "plain"), kind="none") == "Linear"
    found = client(
        f"[r.item_id for r in {small}.recommend(['i1', 'i2'], 5)]",
        folder=str(tmp_path / "plain"),
        kind="8bit",
    )
    assert len(set(found) & set(plain)) >= 3
    client("adapter_bundle('base/wide', folder, quantization='4bit')", folder=tmp_path / "four")
    assert client(loaded, folder=str(tmp_path / "four"), kind=None) == "Linear4bit"
    assert client(loaded, folder=str(tmp_path / "four"), kind="none") == "Linear"
    make_hub_base("base/narrow", width=64, seed=3)
    other = client.refused(
        "recommender.load_recommender(folder, base='base/narrow', quantization='4bit')",
        folder=str(tmp_path / "plain"),
    )
    assert "its weights differ" in other["problem"]
    assert (
        "unknown quantization"
        in client.refused(small, folder=str(tmp_path / "plain"), kind="2bit")["problem"]
    )
