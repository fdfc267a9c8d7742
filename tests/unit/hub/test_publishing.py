"""Pushing and pulling: one commit, the same answers, every refusal clear, never half a push."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

RECOMMEND = (
    "[[r.item_id, round(r.score, 4), r.title]"
    " for r in recommender.load_recommender({}).recommend(['i1', 'i2'], 5)]"
)
PUBLISH = "hub.publish_bundle(folder, repo, **more)"


def push(client: Any, folder: Path, repo: str, **more: Any) -> str:
    commit: str = client(PUBLISH, folder=folder, repo=repo, more=more)
    return commit


def refused(client: Any, folder: Path, repo: str, **more: Any) -> dict[str, Any]:
    error: dict[str, Any] = client.refused(PUBLISH, folder=folder, repo=repo, more=more)
    return error


def recommended(client: Any, source: str, **more: Any) -> Any:
    return client(RECOMMEND.format("source, **more"), source=source, more=more)


def test_a_bundle_goes_up_in_one_commit_and_comes_back_the_same(hub: Any, client: Any, bundle: Path) -> None:
    commit = push(client, bundle, "me/whole")
    repo = hub.repos["me/whole"]
    assert repo.private
    assert [sha for _, sha in repo.history][1:] == [commit]  # the first one is the hub's own
    manifest = json.loads(repo.files()["manifest.json"])
    assert set(repo.files()) == {*manifest["files"], "manifest.json", "README.md", ".gitattributes"}
    assert {
        "vocabulary.json",
        "catalog/catalog.parquet",
        "items.parquet",
        "recipe.yaml",
        "metrics.json",
    } <= set(repo.files())
    assert repo.files()["model/model.safetensors"] == (bundle / "model/model.safetensors").read_bytes()
    assert recommended(client, "me/whole") == recommended(client, str(bundle))
    again = push(client, bundle, "me/whole")
    assert again == commit  # nothing has changed: no commit


def test_paths_of_the_machine_stay_at_home(hub: Any, client: Any, bundle: Path) -> None:
    push(client, bundle, "me/paths")
    for name, content in hub.repos["me/paths"].files().items():
        assert b"somebody" not in content, name
        assert b"secret" not in content, name
    assert b"output_dir: mine" in hub.repos["me/paths"].files()["recipe.yaml"]


@pytest.mark.parametrize(("items", "private"), [("titles", True), ("ids", False)])
def test_item_columns_are_left_out_when_asked(
    hub: Any, client: Any, bundle: Path, items: str, private: bool
) -> None:
    push(client, bundle, f"me/{items}", items=items)
    repo = hub.repos[f"me/{items}"]
    assert repo.private == private
    table = pq.read_table(io.BytesIO(repo.files()["items.parquet"]))
    assert table.column_names == ["item_id", "title"]
    assert set(table.column("title").to_pylist()) == (
        {""} if items == "ids" else {f"Title of i{n}" for n in range(12)}
    )
    answers = recommended(client, f"me/{items}")
    assert [row[:2] for row in answers] == [row[:2] for row in recommended(client, str(bundle))]
    assert all(bool(row[2]) == (items == "titles") for row in answers)


def test_texts_go_into_a_public_repository_only_when_that_is_said(
    hub: Any, client: Any, bundle: Path
) -> None:
    push(client, bundle, "me/public", items="ids")
    for more in ({}, {"private": True}):
        assert "is public" in refused(client, bundle, "me/public", **more)["problem"]
    assert hub.repos["me/public"].files()["items.parquet"] != (bundle / "items.parquet").read_bytes()
    push(client, bundle, "me/public", private=False)
    assert not hub.repos["me/public"].private


def test_a_push_after_training_again_takes_old_files_away_and_old_revisions_stay(
    hub: Any, client: Any, bundle: Path, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    shutil.copytree(bundle, tmp_path / "first")
    first = push(client, bundle, "me/twice")
    before = recommended(client, "me/twice")
    hub.repos["me/twice"].commit("main", {**hub.repos["me/twice"].files(), "notes.txt": b"the owner's"})
    other = make_bundle(tmp_path / "other", seed=3)
    (other / "recipe.yaml").read_text()
    second = push(client, other, "me/twice", items="ids")
    assert second != first
    assert b"the owner's" == hub.repos["me/twice"].files()["notes.txt"]
    assert recommended(client, "me/twice") != before
    assert recommended(client, "me/twice", revision=first) == before


def test_a_branch_is_made_and_main_is_left_alone(hub: Any, client: Any, bundle: Path) -> None:
    commit = push(client, bundle, "me/branch", revision="trial")
    repo = hub.repos["me/branch"]
    assert repo.branches["trial"] == commit
    assert set(repo.files("main")) == {".gitattributes"}
    assert recommended(client, "me/branch", revision="trial") == recommended(client, str(bundle))
    nothing = client.refused(RECOMMEND.format("'me/branch'"))
    assert "holds no genrec bundle" in nothing["problem"]
    missing = client.refused(RECOMMEND.format("'me/branch', revision='nowhere'"))
    assert "no such revision" in missing["problem"]
    assert "nowhere" in client.refused(RECOMMEND.format(f"'{bundle}', revision='nowhere'"))["received"]


@pytest.mark.parametrize(
    ("method", "path", "status", "said", "advice"),
    [
        ("POST", "/api/repos/create", 401, "does not know who you are", "hf auth login"),
        ("POST", "/api/repos/create", 403, "may not do this", "write permission"),
        ("POST", "preupload", 403, "may not do this", "write permission"),
        ("POST", "lfs/objects/batch", 501, "failed", "run it again"),
        ("PUT", "/objects/", 507, "507", "run it again"),
        ("POST", "/commit/", 409, "busy with another change", "wait a moment"),
        ("POST", "/commit/", 412, "has changed since", "look at what was pushed"),
        ("POST", "/commit/", 500, "status 500", "run it again"),
    ],
)
def test_whatever_fails_nothing_is_published(
    hub: Any, client: Any, bundle: Path, method: str, path: str, status: int, said: str, advice: str
) -> None:
    name = f"me/fails-{status}-{path.strip('/').replace('/', '-')}"
    hub.objects.clear()
    hub.fail(method, path, status)
    error = refused(client, bundle, name)
    assert error["error"] == "HubError"
    assert said in error["problem"] + error["received"]
    assert "nothing was published" in error["problem"]
    assert advice in error["remedy"]
    assert name not in hub.repos or set(hub.repos[name].files()) == {".gitattributes"}
    push(client, bundle, name)  # the same command later
    assert recommended(client, name) == recommended(client, str(bundle))


def test_a_passing_fault_in_the_middle_of_an_upload_is_ridden_out(
    hub: Any, client: Any, bundle: Path
) -> None:
    hub.objects.clear()
    hub.fail("PUT", "/objects/", 503, after=1)
    commit = push(client, bundle, "me/bumpy")
    assert hub.repos["me/bumpy"].branches["main"] == commit
    assert recommended(client, "me/bumpy") == recommended(client, str(bundle))


def test_a_push_that_meets_another_one_does_nothing(hub: Any, client: Any, bundle: Path) -> None:
    push(client, bundle, "me/race")
    repo = hub.repos["me/race"]
    hub.race = lambda: repo.commit("main", {**repo.files(), "manifest.json": b"theirs"})
    error = refused(client, bundle, "me/race", items="titles")
    assert "has changed since this push began; nothing was published" in error["problem"]
    assert repo.files()["manifest.json"] == b"theirs"


def test_tokens_that_may_not_write_or_read_are_told_so(hub: Any, client: Any, bundle: Path) -> None:
    push(client, bundle, "me/guarded")
    before = dict(hub.repos["me/guarded"].files())
    error = refused(client, bundle, "me/guarded", token="hf_reader", items="titles")
    assert "your token may not do this" in error["problem"]
    assert "nobody" not in error["problem"]
    assert hub.repos["me/guarded"].files() == before
    stranger = client.refused(RECOMMEND.format("'me/guarded', token='hf_nobody'"))
    assert "you may not see it" in stranger["problem"]
    assert "me/missing" in client.refused(RECOMMEND.format("'me/missing'"))["received"]


def test_only_what_the_manifest_names_is_taken_and_nothing_that_could_be_code(
    hub: Any, client: Any, bundle: Path, tmp_path: Path
) -> None:
    push(client, bundle, "me/extra")
    repo = hub.repos["me/extra"]
    repo.commit(
        "main", {**repo.files(), "model/modeling.py": b"raise SystemExit", "model/pytorch_model.bin": b"\x80"}
    )
    assert recommended(client, "me/extra") == recommended(client, str(bundle))
    assert not hub.asked("GET", "modeling.py")
    assert not hub.asked("GET", "pytorch_model.bin")

    from genrec.artifacts import manifest_text, read_manifest

    manifest = read_manifest(bundle)
    files = {**manifest["files"], "model/pytorch_model.bin": "0" * 64}
    text = manifest_text(manifest["kind"], manifest["facts"], files)
    repo.commit("main", {**repo.files(), "manifest.json": text.encode()})
    error = client.refused(RECOMMEND.format("'me/extra'"))
    assert error["received"] == "model/pytorch_model.bin"
    shutil.copytree(bundle, tmp_path / "stuffed")
    (tmp_path / "stuffed" / "model" / "added_tokens.json").write_text("{}")
    error = client.refused(RECOMMEND.format("folder"), folder=str(tmp_path / "stuffed"))
    assert "put into the bundle after it was saved" in error["problem"]


def test_a_file_that_was_changed_on_the_hub_is_refused(hub: Any, client: Any, bundle: Path) -> None:
    push(client, bundle, "me/changed")
    repo = hub.repos["me/changed"]
    repo.commit("main", {**repo.files(), "metrics.json": b'{"ndcg@10": 1.0}'})
    error = client.refused(RECOMMEND.format("'me/changed'"))
    assert error["error"] == "ArtifactError"
    assert "metrics.json is not the file that was saved" in error["problem"]


def test_what_was_loaded_once_is_there_without_the_hub(hub: Any, client: Any, bundle: Path) -> None:
    first = push(client, bundle, "me/cached")
    expected = recommended(client, "me/cached")
    switch = "setattr(__import__('huggingface_hub').constants, 'HF_HUB_OFFLINE', value)"
    client(switch, value=True)
    try:
        assert recommended(client, "me/cached") == expected
        assert recommended(client, "me/cached", revision=first) == expected
        error = client.refused(RECOMMEND.format("'me/never-loaded'"))
        assert "cannot be reached" in error["problem"]
        assert "cannot be reached" in refused(client, bundle, "me/cached")["problem"]
    finally:
        client(switch, value=False)
    hub.fail("GET", "me/cached", 503, times=99)
    hub.fail("HEAD", "me/cached", 503, times=99)
    assert recommended(client, "me/cached") == expected


def test_a_catalog_is_updated_by_a_small_commit(
    hub: Any, client: Any, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    small, grown = make_bundle(tmp_path / "small", items=9), make_bundle(tmp_path / "grown")
    update = "hub.publish_catalog(folder, repo)"
    assert "no such repository" in client.refused(update, folder=grown, repo="me/living")["problem"]
    first = push(client, small, "me/living", items="titles", license="mit")
    hub.objects.clear()
    published = hub.repos["me/living"].files(first).values()
    hub.objects.update({hashlib.sha256(data).hexdigest(): data for data in published})
    uploads = hub.asked("PUT", "/objects/")
    second = client(update, folder=grown, repo="me/living")
    files = hub.repos["me/living"]
    changed = {n for n, data in files.files(second).items() if files.files(first).get(n) != data}
    tries = {name for name in changed if name.startswith("trie/")}
    assert "trie/rows.npy" in tries
    assert changed - tries == {
        "catalog/catalog.parquet",
        "catalog/manifest.json",
        "items.parquet",
        "manifest.json",
        "README.md",
    }
    assert hub.asked("PUT", "/objects/") - uploads == 2 + sum(name.endswith(".npy") for name in tries)
    assert b"license: mit" in files.files(second)["README.md"]
    assert pq.read_table(io.BytesIO(files.files(second)["items.parquet"])).column_names == [
        "item_id",
        "title",
    ]
    sizes = "len(recommender.load_recommender('me/living', revision=revision).catalog)"
    assert (client(sizes, revision=first), client(sizes, revision=None)) == (9, 12)
    assert client(update, folder=grown, repo="me/living") == second
    other = make_bundle(tmp_path / "other", seed=5)
    error = client.refused(update, folder=other, repo="me/living")
    assert "another model is published there" in error["problem"]
    assert "weights" in error["received"]
