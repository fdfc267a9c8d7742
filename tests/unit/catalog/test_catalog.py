"""The catalog: items and IDs one to one, whatever order they come in, saved and loaded whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.catalog import Catalog
from genrec.data import ItemTable, canonical_order
from genrec.errors import ArtifactError, DataError, SemanticIdError
from genrec.semantic_ids import SemanticIdSpec

SPEC = SemanticIdSpec((4, 5))
IDS = [f"item {n}" for n in range(12)]
CODES = np.stack(np.unravel_index(np.random.default_rng(0).choice(20, 12, replace=False), (4, 5)), axis=1)


def test_items_and_ids_map_both_ways() -> None:
    catalog = Catalog(IDS, CODES, SPEC)
    assert catalog.item_ids == canonical_order(IDS)
    for item, codes in zip(IDS, CODES, strict=True):
        tokens = catalog.tokens(item)
        assert tokens == tuple(SPEC.token(p, c) for p, c in enumerate(codes))
        assert catalog.item(tokens) == item
        assert catalog.codes[catalog.rows([item])[0]].tolist() == codes.tolist()
    assert len(catalog) == catalog.trie.num_items == 12
    assert "item 3" in catalog
    assert "item 99" not in catalog


@given(st.permutations(range(12)))
def test_the_order_in_which_items_come_changes_nothing(order: list[int]) -> None:
    shuffled = Catalog([IDS[i] for i in order], CODES[order], SPEC)
    assert shuffled.fingerprint() == Catalog(IDS, CODES, SPEC).fingerprint()


def test_an_id_no_item_has_leads_to_none_and_a_wrong_one_is_an_error() -> None:
    catalog = Catalog(IDS, CODES, SPEC)
    free = next(c for c in np.ndindex(4, 5) if list(c) not in CODES.tolist())
    assert catalog.item([SPEC.token(0, free[0]), SPEC.token(1, free[1])]) is None
    with pytest.raises(SemanticIdError, match="belongs to another position"):
        catalog.item(["<b_1>", "<a_1>"])
    with pytest.raises(SemanticIdError, match="no Semantic-ID token"):
        catalog.item(["a_1"])


def test_what_is_no_catalog_is_refused() -> None:
    with pytest.raises(DataError, match="distinct items"):
        Catalog(["a", "a"], CODES[:2], SPEC)
    with pytest.raises(DataError, match="distinct items"):
        Catalog([], CODES[:0], SPEC)
    with pytest.raises(DataError, match="distinct items"):
        Catalog(["a", "b"], CODES[:3], SPEC)
    with pytest.raises(SemanticIdError, match="share one Semantic ID"):
        Catalog(["a", "b"], CODES[[0, 0]], SPEC)
    with pytest.raises(DataError, match=r"does not have this item\nreceived: nobody"):
        Catalog(IDS, CODES, SPEC).rows(["item 1", "nobody"])


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    native = CODES.copy()
    native[3] = native[4]
    catalog = Catalog(IDS, CODES, SPEC, native_codes=native)
    catalog.save(tmp_path / "catalog")
    again = Catalog.load(tmp_path / "catalog")
    assert again.fingerprint() == catalog.fingerprint()
    assert again.diagnostics() == catalog.diagnostics()
    assert again.diagnostics().shared_before == pytest.approx(2 / 12)
    assert again.diagnostics().shared_after == 0
    (tmp_path / "catalog" / "catalog.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        Catalog.load(tmp_path / "catalog")


def items_of(ids: list[str]) -> ItemTable:
    return ItemTable.from_rows({"item_id": item, "title": ""} for item in ids)


def test_ids_are_read_from_an_index(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    index = {
        item: [SPEC.token(p, int(c)) for p, c in enumerate(codes)]
        for item, codes in zip(IDS, CODES, strict=True)
    }
    path.write_text(json.dumps(index | {"stranger": ["<a_9>", "<b_9>"]}))
    catalog = Catalog.from_index(path, items_of(IDS))
    assert all(list(catalog.tokens(item)) == tokens for item, tokens in index.items())
    assert "stranger" not in catalog
    with pytest.raises(DataError, match="1 of 13 items, the first is 'new'"):
        Catalog.from_index(path, items_of([*IDS, "new"]))


def test_shared_ids_in_an_index_are_refused_or_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"a": ["<a_1>"], "b": ["<a_1>"], "c": ["<a_0>"]}))
    with pytest.raises(SemanticIdError, match=r"66\.7% of the items"):
        Catalog.from_index(path, items_of(["a", "b", "c"]))
    crowd = [f"i{n}" for n in range(257)]
    (tmp_path / "crowd.json").write_text(json.dumps({item: ["<a_0>"] for item in crowd}))
    with pytest.raises(SemanticIdError, match=r"crowd\.json: 257 items share(.|\n)*unique in the file"):
        Catalog.from_index(tmp_path / "crowd.json", items_of(crowd), collisions="extra_code")
    catalog = Catalog.from_index(path, items_of(["a", "b", "c"]), collisions="extra_code")
    assert catalog.spec.length == 2
    assert {catalog.tokens("a")[0], catalog.tokens("b")[0]} == {"<a_1>"}
    assert catalog.tokens("a") != catalog.tokens("b")
    assert catalog.diagnostics().shared_before == pytest.approx(2 / 3)


def test_published_ids_are_read(shared_data: Path) -> None:
    folder = shared_data / "amazon_scientific"
    items = ItemTable.read(folder / "items.jsonl.gz")
    sids = folder / "published_sids"
    unique = Catalog.from_index(sids / "collisiongenrec_rkmeans_zcr.json.gz", items)
    assert len(unique) == 4344
    native = sids / "collisiongenrec_rkmeans_native.json.gz"
    with pytest.raises(SemanticIdError, match=r"30\.5% of the items"):
        Catalog.from_index(native, items)
    resolved = Catalog.from_index(native, items, collisions="extra_code")
    assert resolved.spec.length == 5
    assert resolved.diagnostics().shared_after == 0
