"""Going on from a bundle: known items keep their IDs, new ones get free ones, training starts there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import load_file

from genrec import (
    Catalog,
    GenerativeRecommender,
    GenRecError,
    ItemTable,
    Recipe,
    SemanticIdSpec,
    SyntheticWorld,
)
from genrec.errors import DataError, SemanticIdError
from genrec.pipeline import align, build_ids
from genrec.pipeline.continuation import grown_catalog
from genrec.pipeline.semantic_ids import load_catalog
from genrec.quantization import ResidualKMeans
from genrec.semantic_ids import ItemTokenizer

SMALL = [
    "embeddings.dim=12",
    "item_tokenizer.definition=rkmeans-3x64",
    "model.hidden_size=16",
    "model.num_layers=1",
    "model.num_heads=2",
    "model.intermediate_size=16",
    "model.text_vocab_size=280",
    "align.max_steps=6",
    "align.evaluate_every=3",
    "align.batch_size=16",
    "align.validation_users=50",
    "align.threads=1",
    "decode.num_beams=5",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A shop as files, its log without the ten items that join later, and a bundle trained on that."""
    folder = tmp_path_factory.mktemp("shop")
    world = SyntheticWorld.generate(seed=4, num_items=80, num_users=250)
    later = set(world.items.canonical_ids[:10])
    world.items.write(folder / "all.jsonl")
    world.items.subset([item for item in world.items.item_ids if item not in later]).write(
        folder / "old.jsonl"
    )
    world.interactions.write(folder / "log.csv")
    align(recipe(folder, "old.jsonl", folder / "first"))
    return folder, sorted(later)


def recipe(folder: Path, items: str, output: Path, *more: str) -> Recipe:
    files = [
        "data.source=files",
        f"data.items={folder / items}",
        f"data.interactions={folder / 'log.csv'}",
        "data.unknown_items=skip",
    ]
    return Recipe.load("quickstart", [*SMALL, *files, f"output_dir={output}", *more])


def test_a_grown_catalog_keeps_every_id_and_trains_on(shop: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, later = shop
    first = GenerativeRecommender.from_pretrained(folder / "first" / "bundle")
    assert not any(item in first.catalog for item in later)
    going_on = recipe(folder, "all.jsonl", tmp_path / "second", f"start_from={folder / 'first' / 'bundle'}")
    assert not align(going_on).skipped
    second = GenerativeRecommender.from_pretrained(tmp_path / "second" / "bundle")
    assert all(second.catalog.tokens(item) == first.catalog.tokens(item) for item in first.catalog.item_ids)
    assert all(item in second.catalog for item in later)
    assert second.vocabulary.fingerprint() == first.vocabulary.fingerprint()
    assert align(going_on).skipped


def test_training_begins_at_the_weights_of_the_bundle(shop: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, _ = shop
    bundle = folder / "first" / "bundle"
    still = ["align.learning_rate=0", "align.ema_decay=0", f"start_from={bundle}"]
    align(recipe(folder, "old.jsonl", tmp_path / "still", *still))
    before = load_file(bundle / "model" / "model.safetensors")
    after = load_file(tmp_path / "still" / "bundle" / "model" / "model.safetensors")
    assert all((after[name] == value).all() for name, value in before.items())


def test_items_that_left_the_table_leave_their_ids_unused(
    shop: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, later = shop
    first = GenerativeRecommender.from_pretrained(folder / "first" / "bundle")
    gone = first.catalog.item_ids[:5]
    everything = ItemTable.read(folder / "all.jsonl")
    everything.subset([i for i in everything.item_ids if i not in gone]).write(folder / "changed.jsonl")
    changed = recipe(folder, "changed.jsonl", tmp_path / "out", f"start_from={folder / 'first' / 'bundle'}")
    build_ids(changed)
    catalog = load_catalog(changed)
    assert not any(item in catalog for item in gone)
    old = {first.catalog.tokens(item) for item in first.catalog.item_ids}
    assert not old & {catalog.tokens(item) for item in later}


def test_a_table_without_new_items_needs_no_item_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(["a", "b", "c"], np.array([[0], [1], [2]]), SemanticIdSpec((4,))).retire(["b"])
    known = SimpleNamespace(catalog=catalog, item_tokenizer=None)
    monkeypatch.setattr(GenerativeRecommender, "from_pretrained", staticmethod(lambda folder: known))

    def grown(items: str) -> Catalog:
        table = ItemTable.from_rows({"item_id": item, "title": item} for item in items)
        return grown_catalog(tmp_path, table)[0]

    assert grown("abc") is catalog
    fewer = grown("ab")
    assert (sorted(fewer.item_ids), fewer.retired_ids) == (["a", "b"], ["b"])
    with pytest.raises(DataError, match=r"cannot give new items an ID(.|\n)*1 new items, 1 that are gone"):
        grown("abd")


def test_a_bundle_inside_the_output_folder_is_refused(shop: tuple[Path, list[str]]) -> None:
    folder, _ = shop
    with pytest.raises(GenRecError, match="give another output_dir"):
        recipe(folder, "all.jsonl", folder / "first", f"start_from={folder / 'first' / 'bundle'}")


def test_no_bundle_there_is_said(shop: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, _ = shop
    with pytest.raises(GenRecError, match="no bundle to go on from"):
        build_ids(recipe(folder, "all.jsonl", tmp_path / "out", f"start_from={tmp_path / 'nothing'}"))


def test_an_item_tokenizer_of_another_shape_is_refused(shop: tuple[Path, list[str]]) -> None:
    folder, _ = shop
    catalog = GenerativeRecommender.from_pretrained(folder / "first" / "bundle").catalog
    other = ItemTokenizer(ResidualKMeans(num_codebooks=2, codebook_size=8))
    with pytest.raises(SemanticIdError, match="does not make the IDs of this catalog"):
        catalog.with_items(other, ItemTable.read(folder / "all.jsonl"))
