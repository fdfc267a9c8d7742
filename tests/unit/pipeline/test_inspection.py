"""What can be inspected: bundles' IDs, catalogs, outputs of build-ids, index files; and what cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from genrec import Catalog, Recipe, SemanticIdSpec
from genrec.cli.main import app
from genrec.errors import ArtifactError, DataError
from genrec.pipeline import build_ids, inspect_target
from genrec.pipeline.inspection import read_target


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    overrides = ["data.num_items=60", "data.num_users=80", "embeddings.dim=8", f"output_dir={folder}"]
    build_ids(Recipe.load("quickstart", overrides))
    return folder


def test_an_output_of_build_ids_brings_its_encoder(built: Path, tmp_path: Path) -> None:
    data = built / "data"
    found = inspect_target(
        built / "ids",
        tmp_path / "report",
        items=data / "items.jsonl.gz",
        interactions=data / "interactions.csv.gz",
    )
    assert found.reconstruction is not None
    assert found.neighbour_auc is not None
    assert found.category_ami is not None
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"report.html", "inspection.json", "inspection.md", "usage.png", "map.png"} <= names
    figures = json.loads((tmp_path / "report/inspection.json").read_text(encoding="utf-8"))
    assert figures["usage"]["num_items"] == 60


def test_a_catalog_and_an_index_file_say_the_same(built: Path, tmp_path: Path) -> None:
    catalog, index = read_target(built / "ids/catalog"), read_target(built / "ids/index.json")
    assert catalog.item_ids == index.item_ids
    np.testing.assert_array_equal(catalog.codes, index.codes)
    result = CliRunner().invoke(
        app, ["inspect-ids", str(built / "ids/index.json"), "-o", str(tmp_path / "r"), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["usage"]["shared_after"] == 0
    told = CliRunner().invoke(app, ["inspect-ids", str(built / "ids/catalog"), "-o", str(tmp_path / "r")])
    assert "| position | codes | used | perplexity | Gini |" in told.output
    assert "report.html" in told.output


def test_retired_items_are_left_out(tmp_path: Path) -> None:
    catalog = Catalog(["a", "b", "c"], np.array([[0], [1], [2]]), SemanticIdSpec((4,))).retire(["b"])
    catalog.save(tmp_path / "catalog")
    assert sorted(read_target(tmp_path / "catalog").item_ids) == ["a", "c"]


def test_what_cannot_be_inspected_is_said(built: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no Semantic IDs"):
        inspect_target(built / "data", tmp_path / "report")
    with pytest.raises(DataError, match="cannot be read"):
        inspect_target(tmp_path / "nothing.json", tmp_path / "report")
    (tmp_path / "items.csv").write_text("item_id,title\nx,y\n", encoding="utf-8")
    with pytest.raises(DataError, match="does not have all items of the IDs"):
        inspect_target(built / "ids", tmp_path / "report", items=tmp_path / "items.csv")
    assert not (tmp_path / "report").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(ArtifactError, match="would be lost"):
        inspect_target(built / "ids/index.json", tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_text(encoding="utf-8") == "keep"


def test_published_ids_are_inspected(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "amazon_scientific"
    native = folder / "published_sids" / "collisiongenrec_rkmeans_native.json.gz"
    found = inspect_target(native, tmp_path / "r", interactions=folder / "interactions.csv.gz")
    assert found.usage.shared_after == pytest.approx(0.305, abs=1e-3)
    assert found.usage.largest_group_after == 26
    assert found.neighbour_auc is not None
    assert 0.5 < found.neighbour_auc < 1
