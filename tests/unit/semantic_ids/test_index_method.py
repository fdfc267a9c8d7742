"""Index methods without vectors: unique IDs, whatever the order of rows, that say what they are made from."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec.artifacts import MANIFEST
from genrec.catalog import Catalog
from genrec.data import InteractionLog, ItemTable, canonical_order, co_occurrence, user_item_matrix
from genrec.errors import ArtifactError, ConfigError, DataError, SemanticIdError
from genrec.semantic_ids import END, ItemTokenizer, ItemTokenizerDefinition
from genrec.semantic_ids.category_tree import CategoryTree
from genrec.semantic_ids.definition import IndexMethodSection
from genrec.semantic_ids.index_method import Indexing, IndexMethod
from genrec.semantic_ids.index_numbering import filled, numbered, up_to_the_end
from genrec.semantic_ids.quantizer_sections import ResidualKMeansSection
from genrec.semantic_ids.spectral_tree import spectral_paths

METHODS: list[Indexing] = ["random", "independent", "sequential", "collaborative", "semantic", "hybrid"]
KINDS = ("Tools", "Toys", "Tea")


def make_items(numbers: object = range(60)) -> ItemTable:
    return ItemTable.from_rows(
        {
            "item_id": f"i{n}",
            "title": "",
            "categories": [] if n % 11 == 0 else ["Shop", KINDS[n % 3], f"kind {n % 7}"][: 2 + n % 2],
        }
        for n in numbers  # type: ignore[attr-defined]
    )


def make_log(users: int = 80, seed: int = 0, items: int = 55) -> InteractionLog:
    """Users keep to one of three groups of items."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        chosen = rng.choice(np.arange(user % 3, items, 3), size=6, replace=False)
        rows += [{"user_id": f"u{user}", "item_id": f"i{n}", "timestamp": t} for t, n in enumerate(chosen)]
    return InteractionLog.from_rows(rows)


def make(method: Indexing, **more: object) -> IndexMethod:
    sizes: dict[str, object] = {"depth": 2, "branching": 3, "leaf_size": 16, "capacity": 100}
    return IndexMethod(method, **(sizes | more))  # type: ignore[arg-type]


def ids_of(method: IndexMethod, items: ItemTable, taken: np.ndarray | None = None) -> dict[str, list[int]]:
    return dict(zip(items.canonical_ids, method.encode(items, taken).tolist(), strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_ids_are_unique_in_range_and_free_of_the_order_of_rows(method: Indexing) -> None:
    items, log = make_items(), make_log()
    fitted = make(method).fit(items, log)
    found = ids_of(fitted, items)
    codes = np.array(list(found.values()))
    assert len({tuple(row) for row in found.values()}) == 60
    assert codes.shape[1] == len(fitted.codebook_sizes)
    assert fitted.terminated == (method in ("collaborative", "semantic")) == bool((codes == END).any())
    assert (codes >= (END if fitted.terminated else 0)).all()
    assert (codes < np.array(fitted.codebook_sizes)).all()
    order = list(items.item_ids)
    random.Random(1).shuffle(order)
    users = log.table.to_pylist()
    random.Random(2).shuffle(users)
    shuffled = InteractionLog.from_rows(users)  # users in another order, each one's items by time
    assert ids_of(make(method).fit(items.subset(order), shuffled), items.subset(order)) == found


@pytest.mark.parametrize("method", METHODS)
def test_held_out_interactions_change_no_id(method: Indexing) -> None:
    """IDs come of the training part; whatever users did afterwards is another matter."""
    items = make_items()
    rows = make_log().table.to_pylist()
    other = [
        row | {"item_id": f"i{(7 * n) % 55}"} if row["timestamp"] > 3 else row for n, row in enumerate(rows)
    ]
    found = []
    for log in (InteractionLog.from_rows(rows), InteractionLog.from_rows(other)):
        found.append(ids_of(make(method).fit(items, log.leave_one_out().train), items))
    assert InteractionLog.from_rows(rows).fingerprint() != InteractionLog.from_rows(other).fingerprint()
    assert found[0] == found[1]


@pytest.mark.parametrize("method", METHODS)
def test_new_items_leave_taken_ids_alone_and_what_is_saved_gives_the_same(
    method: Indexing, tmp_path: Path
) -> None:
    items, new = make_items(), make_items(range(60, 75))
    fitted = make(method).fit(items, make_log())
    old = fitted.encode(items)
    added = fitted.encode(new, taken_codes=old)
    together = {tuple(row) for row in np.concatenate([old, added]).tolist()}
    assert len(together) == 75
    fitted.save(tmp_path / "index")
    loaded = IndexMethod.load(tmp_path / "index")
    assert loaded.codebook_sizes == fitted.codebook_sizes
    np.testing.assert_array_equal(loaded.encode(items), old)
    np.testing.assert_array_equal(loaded.encode(new, taken_codes=old), added)


def test_sequential_numbers_follow_the_histories() -> None:
    items = make_items()
    fitted = make("sequential", depth=2, leaf_size=10).fit(items, make_log(users=1))
    found = ids_of(fitted, items)
    history = make_log(users=1).history("u0")
    assert [found[item] for item in history] == [[0, n] for n in range(6)]
    rest = [item for item in items.canonical_ids if item not in history]
    assert [found[item] for item in rest] == [[n // 10, n % 10] for n in range(6, 60)]


def test_collaborative_paths_follow_who_had_what() -> None:
    items = make_items()
    found = ids_of(make("collaborative", leaf_size=30).fit(items, make_log(users=300)), items)
    groups = [{found[f"i{n}"][0] for n in range(group, 55, 3)} for group in range(3)]
    assert sorted(groups, key=min) == [{0}, {1}, {2}]
    assert {found[f"i{n}"][0] for n in range(55, 60)} == {3}  # nobody had them


def test_semantic_paths_follow_the_categories_and_end_where_these_end() -> None:
    items = make_items()
    fitted = make("semantic", branching=8).fit(items)
    found = ids_of(fitted, items)
    by_kind = {
        kind: {found[f"i{n}"][0] for n in range(60) if n % 11 and n % 3 == k} for k, kind in enumerate(KINDS)
    }
    assert all(len(codes) == 1 for codes in by_kind.values())
    assert {found[f"i{n}"][0] for n in range(0, 60, 11)} == {8}  # no categories
    ids = up_to_the_end(np.array(list(found.values())))
    assert {len(codes) for codes in ids} == {2, 3}


def test_hybrid_has_one_last_token_an_item() -> None:
    for grouping in ("collaborative", "semantic"):
        fitted = make("hybrid", grouping=grouping).fit(make_items(), make_log())
        codes = fitted.encode(make_items())
        assert len(set(codes[:, -1].tolist())) == 60
        assert codes.shape[1] == 3
        added = fitted.encode(make_items(range(90, 95)), taken_codes=codes)
        assert not set(added[:, -1].tolist()) & set(codes[:, -1].tolist())


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=2).map(tuple), min_size=1, max_size=30),
    st.integers(0, 20),
)
def test_numbers_make_paths_unique_and_none_is_the_beginning_of_another(
    paths: list[tuple[int, ...]], already: int
) -> None:
    old = numbered(paths[:already], (), 3, 4, 2) if paths[:already] else []
    new = numbered(paths[already:], old, 3, 4, 2)
    codes = filled([*old, *new], [END] * 4)
    assert len({tuple(row) for row in codes.tolist()}) == len(paths)
    assert up_to_the_end(codes) == [*old, *new]
    assert [code[: len(path)] for code, path in zip([*old, *new], paths, strict=True)] == paths
    assert not any(
        one != other and other[: len(one)] == one for one in codes.tolist() for other in codes.tolist()
    )


def test_a_crowded_path_takes_longer_numbers_and_at_last_says_that_it_is_full() -> None:
    found = numbered([(0,)] * 6, (), 3, 2, 2)
    assert found == [(0, 3), (0, 4), (0, 3, 3), (0, 3, 4), (0, 4, 3), (0, 4, 4)]
    with pytest.raises(SemanticIdError, match="no number left"):
        numbered([(0,)], found, 3, 2, 2)


def test_what_there_is_no_room_for_is_said() -> None:
    items = make_items()
    for method in ("independent", "hybrid"):
        with pytest.raises(SemanticIdError, match="60 items do not fit into 50"):
            make(method, capacity=50).fit(items, make_log()).encode(items)  # type: ignore[arg-type]
    with pytest.raises(SemanticIdError, match="do not fit into 49"):
        make("random", leaf_size=7).fit(items).encode(items)
    full = make("random", leaf_size=8).fit(items)
    assert len({tuple(row) for row in full.encode(items).tolist()}) == 60


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sequential learns from interactions"):
        make("sequential").fit(make_items())
    with pytest.raises(DataError, match="no categories"):
        make("semantic").fit(ItemTable.from_rows([{"item_id": "a", "title": ""}]))
    with pytest.raises(DataError, match="learned nothing yet"):
        make("random").encode(make_items())
    with pytest.raises(ConfigError, match="no such index method"):
        IndexMethod("alphabetical")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="two branches"):
        IndexMethod("collaborative", branching=1)
    make("random").fit(make_items()).save(tmp_path / "index")
    (tmp_path / "index" / MANIFEST).unlink()
    with pytest.raises(ArtifactError):
        IndexMethod.load(tmp_path / "index")


def test_rare_and_unknown_categories_share_a_code() -> None:
    tree = CategoryTree(2, 3).fit([["Shop", "a"], ["Shop", "a"], ["Shop", "b"], ["Shop", "b"], ["Shop", "c"]])
    assert [tree.path(["Shop", name]) for name in "abcd"] == [(0,), (1,), (2,), (2,)]
    assert tree.path([]) == (2,)


def test_counts_of_co_occurrence() -> None:
    rows = [("u", "a"), ("u", "b"), ("u", "a"), ("v", "b"), ("v", "a"), ("v", "x"), ("w", "c")]
    log = InteractionLog.from_rows({"user_id": u, "item_id": i} for u, i in rows)
    assert user_item_matrix(log, ["a", "b", "c"]).toarray().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert co_occurrence(log, ["a", "b", "c"]).toarray().tolist() == [[0, 2, 0], [2, 0, 0], [0, 0, 0]]


def test_parts_of_a_graph_are_kept_whole() -> None:
    items = canonical_order(f"i{n}" for n in range(55))
    paths = spectral_paths(co_occurrence(make_log(users=300), items), branching=3, leaf_size=5, depth=2)
    part = {item: int(item[1:]) % 3 for item in items}
    first = {part[item]: path[0] for item, path in zip(items, paths, strict=True)}
    assert [path[0] for path in paths] == [first[part[item]] for item in items]
    assert max(map(len, paths)) == 2


@pytest.mark.parametrize("name", [f"p5-{method}" for method in METHODS])
def test_shipped_definitions_make_catalogs_that_grow(name: str, tmp_path: Path) -> None:
    items, log = make_items(), make_log()
    tokenizer = ItemTokenizer.from_definition(name).fit(items, log)
    catalog = Catalog.build(tokenizer, items)
    assert catalog.spec == tokenizer.spec
    tokenizer.save(tmp_path / "tokenizer")
    grown = catalog.add(make_items(range(50, 80)), ItemTokenizer.load(tmp_path / "tokenizer"))
    assert len(grown) == 80
    assert all(grown.tokens(item) == catalog.tokens(item) for item in items.item_ids)
    with pytest.raises(DataError, match="stand for no vectors"):
        tokenizer.decode(catalog.codes)


def test_a_definition_names_one_way_to_make_ids() -> None:
    with pytest.raises(ConfigError, match="exactly one quantizer section, or an index_method"):
        ItemTokenizerDefinition(index_method=IndexMethodSection(), residual_kmeans=ResidualKMeansSection())
