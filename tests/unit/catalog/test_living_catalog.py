"""A catalog that lives: items join, leave and come back, and no ID ever becomes another item's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec import artifacts
from genrec.artifacts import folders
from genrec.catalog import Catalog
from genrec.data import ItemTable, canonical_order
from genrec.embeddings import EmbeddingTable
from genrec.errors import ArtifactError, DataError, SemanticIdError
from genrec.quantization import ResidualKMeans
from genrec.semantic_ids import ItemTokenizer

VECTORS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
VECTORS[1::4] = VECTORS[::4]  # some items cannot be told apart
TABLE = EmbeddingTable([f"i{n}" for n in range(40)], VECTORS)


def items_of(numbers: object) -> ItemTable:
    return ItemTable.from_rows({"item_id": f"i{n}", "title": ""} for n in numbers)  # type: ignore[attr-defined]


def tokenizer_of(collisions: str = "matching", items: int = 12) -> ItemTokenizer:
    tokenizer = ItemTokenizer(ResidualKMeans(3, 4, iterations=5), collisions=collisions, extra_code_size=8)  # type: ignore[arg-type]
    return tokenizer.fit(items_of(range(items)), embeddings=TABLE)


@pytest.fixture(scope="module", params=["matching", "extra_code"])
def tokenizer(request: pytest.FixtureRequest) -> ItemTokenizer:
    return tokenizer_of(request.param)


@pytest.fixture(scope="module")
def first(tokenizer: ItemTokenizer) -> Catalog:
    return Catalog.build(tokenizer, items_of(range(12)), embeddings=TABLE)


def ids_of(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    return {item: catalog.tokens(item) for item in catalog.item_ids}


def in_trie(catalog: Catalog) -> set[str]:
    return {catalog.item_ids[row] for row in catalog.trie.rows.tolist()}


operations = st.lists(
    st.tuples(
        st.sampled_from(["add", "retire", "restore"]), st.sets(st.integers(0, 39), min_size=1, max_size=9)
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(steps=operations)
def test_no_id_ever_changes_or_becomes_another_items(
    first: Catalog, tokenizer: ItemTokenizer, steps: list[tuple[str, set[int]]]
) -> None:
    catalog, retired = first, set()
    for operation, numbers in steps:
        before, rows = ids_of(catalog), list(catalog.item_ids)
        names = {f"i{n}" for n in numbers}
        if operation == "add":
            after = catalog.add(items_of(numbers), tokenizer, embeddings=TABLE)
        elif operation == "retire":
            names = {item for item in names if item in catalog}
            if len(names) == catalog.num_active:
                continue
            after = catalog.retire(names)
            retired |= names
        else:
            names &= retired
            after = catalog.restore(names)
            retired -= names
        assert ids_of(catalog) == before  # the version it was made from stays as it is
        assert after.item_ids[: len(rows)] == rows
        assert {item: tokens for item, tokens in ids_of(after).items() if item in before} == before
        assert len(set(ids_of(after).values())) == len(after)
        assert set(after.retired_ids) == retired
        assert in_trie(after) == set(after.item_ids) - retired == {i for i in after.item_ids if i in after}
        assert all(after.item(after.tokens(item)) == (None if item in retired else item) for item in before)
        if after is not catalog:
            assert after.parent == catalog.version
            assert after.versions[:-1] == catalog.versions
        catalog = after


def test_new_items_get_the_ids_they_would_get_beside_all_taken_ones(tokenizer: ItemTokenizer) -> None:
    """Looking only at the IDs that matter gives what looking at all of them gives."""
    first = Catalog.build(tokenizer, items_of(range(12)), embeddings=TABLE)
    catalog = first.add(items_of(range(8, 25)), tokenizer, embeddings=TABLE)
    new = [item for item in catalog.item_ids if item not in first]
    assert catalog.item_ids == [*first.item_ids, *canonical_order(new)]
    assert ids_of(catalog) == ids_of(first.with_items(tokenizer, items_of(range(25)), embeddings=TABLE))


def test_the_same_steps_give_the_same_versions_whatever_the_order_of_rows(tokenizer: ItemTokenizer) -> None:
    found = []
    for numbers in (range(12), range(11, -1, -1)):
        first = Catalog.build(tokenizer, items_of(numbers), embeddings=TABLE)
        second = first.add(items_of([n + 12 for n in numbers]), tokenizer, embeddings=TABLE)
        found.append(second.retire([f"i{n}" for n in numbers][:3] if numbers[0] == 0 else ["i2", "i1", "i0"]))
    assert found[0].version == found[1].version
    assert found[0].fingerprint() == found[1].fingerprint()
    assert [v.operation for v in found[0].versions] == ["build", "add", "retire"]
    assert [v.num_items for v in found[0].versions] == [12, 12, 3]


def test_a_retired_item_is_like_an_unknown_one_but_keeps_its_id(first: Catalog) -> None:
    catalog = first.retire(["i3"])
    assert "i3" not in catalog
    assert catalog.tokens("i3") == first.tokens("i3")
    assert catalog.item(first.tokens("i3")) is None
    assert (len(catalog), catalog.num_active) == (12, 11)
    assert catalog.diagnostics().num_items == 11
    with pytest.raises(DataError, match=r"has retired this item\nreceived: i3"):
        catalog.rows(["i1", "i3"])
    assert catalog.restore(["i3"]).fingerprint() == first.fingerprint()
    assert catalog.fingerprint() != first.fingerprint()


def test_retired_items_stay_retired_when_the_table_changes(first: Catalog, tokenizer: ItemTokenizer) -> None:
    catalog = first.retire(["i3", "i5"])
    table = items_of([*(n for n in range(12) if n != 5), 30])
    changed = catalog.with_items(tokenizer, table, embeddings=TABLE)
    assert set(changed.item_ids) == set(table.item_ids)
    assert changed.retired_ids == ["i3"]
    assert changed.tokens("i3") == first.tokens("i3")
    assert changed.tokens("i30") not in ids_of(first).values()
    fewer = catalog.with_items(None, items_of(range(6)))  # nobody needs an ID
    assert set(fewer.retired_ids) == {"i3", "i5"}
    assert ids_of(fewer) == {f"i{n}": first.tokens(f"i{n}") for n in range(6)}
    with pytest.raises(SemanticIdError, match="received: none"):
        catalog.with_items(None, items_of([30]))


def test_what_cannot_be_done_is_said(first: Catalog, tokenizer: ItemTokenizer) -> None:
    with pytest.raises(DataError, match="cannot retire 2 items: they are not there"):
        first.retire(["i1", "nobody", "i39"])
    with pytest.raises(DataError, match="retired already"):
        first.retire(["i1"]).retire(["i1"])
    with pytest.raises(DataError, match="cannot restore 1 items"):
        first.restore(["i1"])
    with pytest.raises(DataError, match="takes a list"):
        first.retire("i1")
    with pytest.raises(DataError, match="not retired"):
        first.retire(first.item_ids)
    other = ItemTokenizer(ResidualKMeans(2, 3)).fit(items_of(range(9)), embeddings=TABLE)
    with pytest.raises(SemanticIdError, match="does not make the IDs of this catalog"):
        first.add(items_of([30]), other, embeddings=TABLE)
    assert first.add(items_of(range(12)), tokenizer, embeddings=TABLE) is first
    assert first.retire([]) is first


def test_a_full_catalog_says_so_and_stays_as_it_is() -> None:
    tokenizer = ItemTokenizer(ResidualKMeans(2, 4)).fit(items_of(range(16)), embeddings=TABLE)
    full = Catalog.build(tokenizer, items_of(range(15)), embeddings=TABLE)
    assert len(full.add(items_of([20]), tokenizer, embeddings=TABLE)) == 16  # the last free ID, by spilling
    before = full.fingerprint()
    with pytest.raises(SemanticIdError, match="do not fit into 16"):
        full.retire(["i3"]).add(items_of([20, 21]), tokenizer, embeddings=TABLE)  # a retired ID is not free
    assert full.fingerprint() == before


def grown(first: Catalog, tokenizer: ItemTokenizer) -> Catalog:
    return first.add(items_of(range(20)), tokenizer, embeddings=TABLE).retire(["i3", "i15"]).restore(["i3"])


def same(one: Catalog, other: Catalog) -> bool:
    return (
        one.versions == other.versions
        and one.fingerprint() == other.fingerprint()
        and one.diagnostics() == other.diagnostics()
        and np.array_equal(one.trie.rows, other.trie.rows)
    )


def test_versions_are_appended_and_all_of_them_load(
    first: Catalog, tokenizer: ItemTokenizer, tmp_path: Path
) -> None:
    first.save(tmp_path / "c")
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "c").iterdir()}
    catalog = grown(first, tokenizer)
    catalog.save(tmp_path / "c")
    names = sorted(path.name for path in (tmp_path / "c").iterdir())
    assert names == [
        "catalog.parquet",
        "manifest.json",
        "version-00001-add.parquet",
        "version-00002-retire.parquet",
        "version-00003-restore.parquet",
    ]
    assert (tmp_path / "c/catalog.parquet").stat().st_mtime_ns == written["catalog.parquet"]
    assert same(Catalog.load(tmp_path / "c"), catalog)
    assert same(Catalog.load(tmp_path / "c", version=first.version[:16]), first)
    middle = Catalog.load(tmp_path / "c", version=catalog.versions[2].version)
    assert middle.retired_ids == [item for item in middle.item_ids if item in ("i3", "i15")]
    with pytest.raises(DataError, match="no such version"):
        Catalog.load(tmp_path / "c", version="zz")
    # going on from what was loaded gives the same as going on from what was kept in memory
    assert same(Catalog.load(tmp_path / "c").restore(["i15"]), catalog.restore(["i15"]))
    catalog.save(tmp_path / "whole")
    assert same(Catalog.load(tmp_path / "whole"), catalog)


def test_another_line_of_versions_replaces_the_folder(
    first: Catalog, tokenizer: ItemTokenizer, tmp_path: Path
) -> None:
    grown(first, tokenizer).save(tmp_path / "c")
    other = first.retire(["i7"])
    other.save(tmp_path / "c")
    assert same(Catalog.load(tmp_path / "c"), other)
    first.save(tmp_path / "c")  # an earlier version of what is there: the folder becomes that version
    assert same(Catalog.load(tmp_path / "c"), first)


@pytest.mark.parametrize("dies_in", ["atomic_write_text", "_sync_tree"])
def test_a_run_that_dies_while_adding_leaves_the_old_version(
    first: Catalog, tokenizer: ItemTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    first.save(tmp_path / "c")
    catalog = grown(first, tokenizer)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(folders, dies_in, dies)
        with pytest.raises(KeyboardInterrupt):
            catalog.save(tmp_path / "c")
    assert same(Catalog.load(tmp_path / "c"), first)
    catalog.save(tmp_path / "c")
    assert same(Catalog.load(tmp_path / "c"), catalog)


def test_a_changed_byte_in_any_version_is_refused(
    first: Catalog, tokenizer: ItemTokenizer, tmp_path: Path
) -> None:
    first.save(tmp_path / "c")
    grown(first, tokenizer).save(tmp_path / "c")
    path = tmp_path / "c/version-00001-add.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        Catalog.load(tmp_path / "c")
    path.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        Catalog.load(tmp_path / "c")


def test_a_catalog_that_is_part_of_something_is_not_appended_to(
    first: Catalog, tokenizer: ItemTokenizer, tmp_path: Path
) -> None:
    with artifacts.saved_artifact(tmp_path / "bundle", kind="bundle") as temporary:
        first.save(temporary / "catalog")
    with pytest.raises(ArtifactError, match="is a part of"):
        grown(first, tokenizer).save(tmp_path / "bundle/catalog")
    artifacts.open_artifact(tmp_path / "bundle", kind="bundle")
    assert same(Catalog.load(tmp_path / "bundle/catalog"), first)


def test_a_folder_saved_before_there_were_versions_loads(first: Catalog, tmp_path: Path) -> None:
    first.save(tmp_path / "new")
    facts = {"codebook_sizes": first.spec.codebook_sizes, "items": len(first)}
    with artifacts.saved_artifact(tmp_path / "old", kind="catalog", facts=facts) as temporary:
        (temporary / "catalog.parquet").write_bytes((tmp_path / "new/catalog.parquet").read_bytes())
    assert same(Catalog.load(tmp_path / "old"), first)
    first.retire(["i1"]).save(tmp_path / "old")
    assert Catalog.load(tmp_path / "old").retired_ids == ["i1"]
