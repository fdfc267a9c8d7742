"""Folders are saved whole or not at all, and every change to a saved one is noticed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.artifacts import data_folder, file_sha256, has_artifact, named_file, open_artifact, saved_artifact
from genrec.errors import ArtifactError, ConfigError


def save(folder: Path, text: str = "one", **facts: object) -> None:
    with saved_artifact(folder, kind="thing", facts=facts) as temporary:
        (temporary / "a.txt").write_text(text)
        (temporary / "deep").mkdir()
        (temporary / "deep" / "b.bin").write_bytes(bytes(range(256)))


def test_what_is_saved_is_opened_with_its_facts(tmp_path: Path) -> None:
    save(tmp_path / "x", size=3)
    assert open_artifact(tmp_path / "x", kind="thing") == {"size": 3}
    assert has_artifact(tmp_path / "x", "thing", {"size": 3})
    assert not has_artifact(tmp_path / "x", "thing", {"size": 4})
    assert not has_artifact(tmp_path / "y", "thing")
    manifest = json.loads((tmp_path / "x" / "manifest.json").read_text())
    assert manifest["files"]["a.txt"] == file_sha256(tmp_path / "x" / "a.txt")
    assert set(manifest["files"]) == {"a.txt", "deep/b.bin"}


def test_an_error_inside_the_block_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path / "x", "old")

    def interrupted() -> None:
        with saved_artifact(tmp_path / "x", kind="thing") as temporary:
            (temporary / "a.txt").write_text("new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert (tmp_path / "x" / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_run_killed_while_saving_leaves_the_old_folder_and_its_rest_is_cleared(tmp_path: Path) -> None:
    save(tmp_path / "x", "old")
    code = (
        "import os, signal, sys; from pathlib import Path; from genrec.artifacts import saved_artifact\n"
        "with saved_artifact(Path(sys.argv[1]), kind='thing') as t:\n"
        "    (t / 'a.txt').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    assert (tmp_path / "x" / "a.txt").read_text() == "old"
    save(tmp_path / "x", "new")
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x" / "a.txt").read_text() == "new"


def test_a_run_killed_between_the_renames_gives_the_old_folder_back(tmp_path: Path) -> None:
    save(tmp_path / "x", "old")
    (tmp_path / "x").rename(tmp_path / ".x.previous")
    assert open_artifact(tmp_path / "x", kind="thing") == {}
    assert (tmp_path / "x" / "a.txt").read_text() == "old"


def test_folders_of_others_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="holds files but no artefact"):
        save(tmp_path / "mine")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="is a file"):
        save(tmp_path / "file")
    save(tmp_path / "x")
    with (
        pytest.raises(ArtifactError, match="holds a thing, not a bundle"),
        saved_artifact(tmp_path / "x", kind="bundle"),
    ):
        pass
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_another_kind_a_missing_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    save(tmp_path / "x")
    with pytest.raises(ArtifactError, match="is not a bundle"):
        open_artifact(tmp_path / "x", kind="bundle")
    with pytest.raises(ArtifactError, match="there is no folder"):
        open_artifact(tmp_path / "y", kind="thing")
    (tmp_path / "x" / "a.txt").unlink()
    with pytest.raises(ArtifactError, match=r"a\.txt is missing"):
        open_artifact(tmp_path / "x", kind="thing")


@pytest.mark.parametrize("version", [0, 3, '"2"', "true"])
def test_another_format_version_is_refused(tmp_path: Path, version: object) -> None:
    save(tmp_path / "x")
    path = tmp_path / "x" / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 2', f'"format_version": {version}'))
    with pytest.raises(ArtifactError, match="unknown format version"):
        open_artifact(tmp_path / "x", kind="thing")


@given(st.data())
def test_one_flipped_bit_or_a_truncation_anywhere_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip") / "x"
    save(folder, "some text", name="value")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        open_artifact(folder, kind="thing")


def test_shipped_files_are_found_by_name_and_a_wrong_name_gets_a_hint() -> None:
    assert named_file("tokenizers", "rkmeans-3x256.yaml") == data_folder("tokenizers") / "rkmeans-3x256.yaml"
    with pytest.raises(ConfigError, match=r"rkmeans-3x256\.yaml"):
        named_file("tokenizers", "rkmean-3x256.yaml")
    with pytest.raises(ConfigError, match="there is no"):
        named_file("tokenizers", "../pyproject.toml")
