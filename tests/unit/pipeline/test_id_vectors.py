"""IDs of content, behaviour and pictures together, as recipes ask for them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from genrec import GenRecError, ItemTable, Recipe
from genrec.config import fingerprint
from genrec.data import Cases
from genrec.embeddings import EmbeddingTable
from genrec.pipeline import Inputs, build_ids, load_inputs
from genrec.pipeline import id_vectors as module
from genrec.pipeline.id_vectors import id_vectors
from genrec.pipeline.semantic_ids import (
    content_vectors,
    ids_fingerprint,
    load_catalog,
    load_item_tokenizer,
    vectors_facts,
)

ASPECTS = """
aspects: {num_aspects: 2, num_codebooks: 2, codebook_size: 16, iterations: 5}
"""
LETTER = """
rqvae: {hidden_dims: [8], latent_dim: 4, codebook_size: 16, num_codebooks: 2, alignment: 0.02, epochs: 2,
  codebooks: gradient, device: cpu}
"""


def recipe(folder: Path, *more: str) -> Recipe:
    small = ["data.num_items=60", "data.num_users=80", "embeddings.dim=8", "embeddings.fusion_dim=6"]
    return Recipe.load("quickstart", [*small, f"output_dir={folder}", *more])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return load_inputs(recipe(tmp_path_factory.mktemp("world")))


@pytest.mark.parametrize("fusion", ["equal", "learned"])
def test_behaviour_is_a_second_aspect(inputs: Inputs, tmp_path: Path, fusion: str) -> None:
    (tmp_path / "mine.yaml").write_text(ASPECTS, encoding="utf-8")
    asked = ["embeddings.collaborative=als", f"embeddings.fusion={fusion}"]
    chosen = recipe(tmp_path / "out", *asked, f"item_tokenizer.definition={tmp_path / 'mine.yaml'}")
    build_ids(chosen, inputs)
    catalog, tokenizer = load_catalog(chosen), load_item_tokenizer(chosen)
    assert catalog.spec.codebook_sizes == (16,) * 4
    assert tokenizer is not None
    assert tokenizer.encoder is None  # new items need fused vectors, which no text encoder makes
    vectors, behaviour = id_vectors(chosen, inputs, content_vectors(chosen, inputs.items), aligns=False)
    assert (vectors.dim, behaviour) == (12, None)
    assert build_ids(chosen, inputs).skipped


def test_behaviour_that_a_quantizer_aligns_with_is_not_fused(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letter.yaml").write_text(LETTER, encoding="utf-8")
    chosen = recipe(tmp_path / "out", f"item_tokenizer.definition={tmp_path / 'letter.yaml'}")
    monkeypatch.setattr(module, "item2vec", lambda log, ids, seed: module.als_vectors(log, ids, dim=4))
    assert not build_ids(chosen, inputs).skipped
    tokenizer = load_item_tokenizer(chosen)
    assert tokenizer is not None
    assert tokenizer.aligns
    assert tokenizer.encoder is not None


def test_ids_of_behaviour_depend_on_the_training_part_alone(inputs: Inputs, tmp_path: Path) -> None:
    plain, fused = recipe(tmp_path), recipe(tmp_path, "embeddings.collaborative=item2vec")
    shorter = inputs.split.train.take(inputs.split.train.users < 70)
    other = Inputs(inputs.items, inputs.log, shorter.leave_one_out(), None)
    assert ids_fingerprint(plain, inputs) == ids_fingerprint(plain, other)
    assert ids_fingerprint(fused, inputs) != ids_fingerprint(fused, other)


def test_learned_weights_of_another_log_are_not_reused(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures and content know no interactions, but weights learned for them do."""
    ids = inputs.items.canonical_ids
    rows = [{"item_id": item, "title": f"{item} one", "image": "one.png"} for item in ids]
    (tmp_path / "one.png").write_bytes(b"one")
    shown = dataclasses.replace(inputs, items=ItemTable.from_rows(rows))
    shorter = inputs.split.train.take(inputs.split.train.users < 60)
    other = Inputs(shown.items, shown.log, shorter.leave_one_out(), None)
    asked = ["embeddings.images=nobody/nothing", f"embeddings.image_folder={tmp_path}"]
    equal = recipe(tmp_path / "equal", *asked, "embeddings.fusion=equal")
    learned = recipe(tmp_path / "learned", *asked, "embeddings.fusion=learned")
    assert ids_fingerprint(equal, shown) == ids_fingerprint(equal, other)
    assert ids_fingerprint(learned, shown) != ids_fingerprint(learned, other)
    pictures = EmbeddingTable(ids, np.random.default_rng(0).normal(size=(len(ids), 8)).astype(np.float32))
    monkeypatch.setattr(module, "cached_embeddings", lambda *given: pictures)
    monkeypatch.setattr(module, "ImageItemEncoder", lambda *given, **options: None)
    asked_of: list[str] = []

    def weights(
        tables: dict[str, EmbeddingTable], ids: list[str], cases: Cases, **_: int
    ) -> dict[str, float]:
        asked_of.append(cases.fingerprint())
        return dict.fromkeys(tables, 1.0)

    monkeypatch.setattr(module, "learned_weights", weights)
    content = content_vectors(learned, shown.items)
    for given in (shown, other):
        id_vectors(learned, given, content, aligns=False)
    expected = [given.split.train.leave_one_out().test.fingerprint() for given in (shown, other)]
    assert asked_of == expected  # interactions of its own training part


def test_items_without_pictures_are_told(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(GenRecError, match=r"no column 'image'|picture"):
        build_ids(recipe(tmp_path / "out", "embeddings.images=nobody/nothing"), inputs)


def test_a_replaced_picture_changes_the_ids(inputs: Inputs, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "one.png").write_bytes(b"one")
    pictures = {item: "one.png" if n == 0 else "" for n, item in enumerate(inputs.items.canonical_ids)}
    rows = [{"item_id": item, "title": item, "image": name} for item, name in pictures.items()]
    shown = dataclasses.replace(inputs, items=ItemTable.from_rows(rows))
    asked = ["embeddings.images=nobody/nothing", f"embeddings.image_folder={folder}"]
    chosen, index = recipe(tmp_path, *asked), "item_tokenizer.definition=p5-independent"
    before, unseen = ids_fingerprint(chosen, shown), ids_fingerprint(recipe(tmp_path, *asked, index), shown)
    os.utime(folder / "one.png", ns=(1, 1))
    assert ids_fingerprint(chosen, shown) == before  # its content is what counts
    (folder / "one.png").write_bytes(b"two")
    assert ids_fingerprint(chosen, shown) != before
    assert ids_fingerprint(recipe(tmp_path, *asked, index), shown) == unseen  # no vector is made for these


def test_another_revision_makes_the_ids_anew_and_none_keeps_those_there_are(tmp_path: Path) -> None:
    hub = ["embeddings.encoder=text", "embeddings.model=owner/name", "embeddings.images=owner/other"]
    plain = fingerprint(vectors_facts(recipe(tmp_path, *hub)))
    settled = ["data.num_items=60", *hub]  # the key of such a recipe before there were revisions
    before = fingerprint(vectors_facts(Recipe.load("quickstart", settled)))
    assert before == "b26722b5c02c529269ffb1ffedb3f826111371f027f069630820ba0ae58ed6ce"
    for setting in ("embeddings.revision=v1", "embeddings.image_revision=v1"):
        assert fingerprint(vectors_facts(recipe(tmp_path, *hub, setting))) != plain
    for place in ("embeddings.revision", "embeddings.image_revision", "texts.revision", "model.revision"):
        with pytest.raises(GenRecError, match=f"{place} is one of"):
            recipe(tmp_path, f"{place}=v1")
