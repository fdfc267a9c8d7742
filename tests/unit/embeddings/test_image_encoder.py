"""Image vectors by tiny random CLIP and SigLIP models: of unit length, cached by picture, faults told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipTextConfig,
    SiglipVisionConfig,
)

from genrec.data import ItemTable
from genrec.embeddings import ImageItemEncoder, cached_embeddings, load_encoder
from genrec.errors import ConfigError, DataError

TINY = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
PICTURE = {"image_size": 16, "patch_size": 8}


@pytest.fixture(scope="module", params=["clip", "siglip"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if request.param == "clip":
            text, vision = CLIPTextConfig(vocab_size=20, **TINY), CLIPVisionConfig(**TINY, **PICTURE)
            made = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=6))
            processor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
        else:
            text, vision = SiglipTextConfig(vocab_size=20, **TINY), SiglipVisionConfig(**TINY, **PICTURE)
            made = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
            processor = SiglipImageProcessor(size={"height": 16, "width": 16})
    made.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def items(tmp_path: Path) -> ItemTable:
    rng = np.random.default_rng(0)
    for name in ("red", "blue"):
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    Image.new("L", (5, 9)).save(tmp_path / "grey.png")
    names = {"a": "red.png", "b": "", "c": "blue.png", "d": "grey.png", "e": "red.png"}
    return ItemTable.from_rows({"item_id": i, "title": i, "image": name} for i, name in names.items())


def test_pictures_become_vectors_of_unit_length(model: Path, items: ItemTable, tmp_path: Path) -> None:
    table = ImageItemEncoder(str(model), folder=tmp_path, batch_size=2, device="cpu").encode(items)
    assert table.item_ids == items.canonical_ids
    vectors = {item: table.vectors_for([item])[0] for item in "abcde"}
    assert not vectors["b"].any()
    assert [np.linalg.norm(vectors[item]) for item in "acde"] == pytest.approx([1] * 4, abs=1e-5)
    np.testing.assert_allclose(vectors["a"], vectors["e"], atol=1e-6)
    assert not np.allclose(vectors["a"], vectors["c"], atol=1e-3)


def test_the_cache_knows_pictures_by_their_bytes(model: Path, items: ItemTable, tmp_path: Path) -> None:
    encoder = ImageItemEncoder(str(model), folder=tmp_path, device="cpu")
    first = cached_embeddings(encoder, items, tmp_path / "cache")
    again = cached_embeddings(encoder, items.subset(list("edcba")), tmp_path / "cache")
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    Image.new("RGB", (5, 5), (255, 0, 0)).save(tmp_path / "red.png")
    assert not np.allclose(cached_embeddings(encoder, items, tmp_path / "cache").vectors, first.vectors)
    encoder.save(tmp_path / "saved")
    loaded = load_encoder(tmp_path / "saved")
    assert loaded.fingerprint() == encoder.fingerprint()
    assert loaded.fit(items) is loaded
    assert loaded.fitted


def test_the_cache_knows_how_pictures_are_prepared(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    before = ImageItemEncoder(str(folder)).fingerprint()
    assert ImageItemEncoder(str(model)).fingerprint() == before
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    assert ImageItemEncoder(str(folder)).fingerprint() != before


def test_faults_of_pictures_are_told(model: Path, items: ItemTable, tmp_path: Path) -> None:
    def encode(name: str, column: str = "image") -> None:
        table = ItemTable.from_rows([{"item_id": "a", "title": "", "image": name}])
        ImageItemEncoder(str(model), column, tmp_path, device="cpu").encode(table)

    with pytest.raises(DataError, match="the picture of 'a' is not there"):
        encode("nothing.png")
    with pytest.raises(DataError, match="is an address"):
        encode("https://example.org/a.png")
    with pytest.raises(DataError, match="no item has a picture"):
        encode("")
    with pytest.raises(DataError, match="no column 'photo'"):
        encode("red.png", "photo")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match="no picture that can be read"):
        encode("text.png")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        ImageItemEncoder(str(tmp_path), folder=tmp_path, device="cpu").encode(items)
