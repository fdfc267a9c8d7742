"""Items to unique IDs, whatever the order of their rows."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec.artifacts import MANIFEST
from genrec.data import ItemTable
from genrec.embeddings import EmbeddingTable, LsaItemEncoder
from genrec.errors import ArtifactError, ConfigError, DataError, SemanticIdError
from genrec.quantization import FSQ, RQVAE, Quantizer, ResidualKMeans
from genrec.semantic_ids import ItemTokenizer, diagnose

WORDS = ["rose", "cream", "hand", "soap", "bolt", "steel", "wire", "copper", "tea", "cup"]


def make_items(rows: int = 60, start: int = 0) -> ItemTable:
    rng = random.Random(start)
    return ItemTable.from_rows(
        {"item_id": f"i{row}", "title": " ".join(rng.choices(WORDS, k=3))}
        for row in range(start, start + rows)
    )


def make_vectors(items: ItemTable, dim: int = 5) -> EmbeddingTable:
    """Vectors that depend on the item alone, some of them equal."""
    rows = [np.random.default_rng(int(item[1:]) // 2).normal(size=dim) for item in items.item_ids]
    return EmbeddingTable(items.item_ids, np.array(rows, dtype=np.float32))


def kmeans() -> ResidualKMeans:
    return ResidualKMeans(3, 8, iterations=10)


def as_dict(tokenizer: ItemTokenizer, items: ItemTable) -> dict[str, tuple[int, ...]]:
    item_ids, codes = tokenizer.encode(items)
    return {item: tuple(row) for item, row in zip(item_ids, codes.tolist(), strict=True)}


@pytest.mark.parametrize("collisions", ["matching", "extra_code"])
def test_every_item_gets_an_id_of_its_own(collisions: str) -> None:
    items = make_items()
    tokenizer = ItemTokenizer(kmeans(), collisions=collisions, extra_code_size=16).fit(items)  # type: ignore[arg-type]
    item_ids, codes = tokenizer.encode(items)
    assert item_ids == items.canonical_ids
    assert codes.dtype == np.int32
    assert codes.shape == (60, tokenizer.spec.length)
    assert tokenizer.native_codes is not None
    found = diagnose(codes, tokenizer.spec.codebook_sizes, tokenizer.native_codes)
    assert found.shared_after == 0
    assert found.shared_before
    assert found.shared_before > 0


@pytest.mark.parametrize("collisions", ["matching", "extra_code"])
@pytest.mark.parametrize(
    "quantizer",
    [
        lambda: kmeans(),
        lambda: RQVAE(hidden_dims=(8,), latent_dim=4, codebook_size=8, epochs=2, batch_size=16, device="cpu"),
        lambda: FSQ((3, 3), 3, hidden_dims=(8,), epochs=2, batch_size=16, device="cpu"),
    ],
)
def test_shuffled_rows_change_no_id(quantizer: type[Quantizer], collisions: str) -> None:
    items = make_items()
    ids = list(items.item_ids)
    random.Random(3).shuffle(ids)
    found = [
        as_dict(
            ItemTokenizer(quantizer(), encoder=LsaItemEncoder(dim=6), collisions=collisions).fit(table), table
        )  # type: ignore[arg-type]
        for table in (items, items.subset(ids))
    ]
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def fitted() -> tuple[ItemTable, EmbeddingTable, ItemTokenizer]:
    items = make_items(20)
    vectors = make_vectors(items)
    return items, vectors, ItemTokenizer(ResidualKMeans(2, 5, iterations=2)).fit(items, embeddings=vectors)


@settings(max_examples=30)
@given(order=st.permutations(range(20)))
def test_order_of_rows_when_encoding_changes_no_id(
    fitted: tuple[ItemTable, EmbeddingTable, ItemTokenizer], order: list[int]
) -> None:
    items, vectors, tokenizer = fitted
    expected = tokenizer.encode(items, embeddings=vectors)
    shuffled = tokenizer.encode(items.subset([items.item_ids[row] for row in order]), embeddings=vectors)
    assert shuffled[0] == expected[0]
    np.testing.assert_array_equal(shuffled[1], expected[1])


def test_ids_depend_on_content_not_on_luck() -> None:
    items = make_items()
    one, two = (as_dict(ItemTokenizer(kmeans()).fit(items), items) for _ in range(2))
    assert one == two


def test_saved_tokenizer_gives_the_same_ids_to_new_items(tmp_path: Path) -> None:
    items, new = make_items(), make_items(25, start=100)
    tokenizer = ItemTokenizer(kmeans(), collisions="extra_code", extra_code_size=99).fit(items)
    tokenizer.save(tmp_path / "tokenizer")
    loaded = ItemTokenizer.load(tmp_path / "tokenizer")
    assert loaded.spec == tokenizer.spec
    assert as_dict(loaded, items) == as_dict(tokenizer, items)
    assert as_dict(loaded, new) == as_dict(tokenizer, new)
    _, codes = loaded.encode(new)
    np.testing.assert_array_equal(loaded.decode(codes), tokenizer.decode(codes))


@pytest.mark.parametrize("collisions", ["matching", "extra_code"])
def test_new_items_leave_taken_ids_alone(collisions: str) -> None:
    items, new = make_items(), make_items(60, start=60)
    tokenizer = ItemTokenizer(kmeans(), collisions=collisions).fit(items)  # type: ignore[arg-type]
    old = as_dict(tokenizer, items)
    taken = np.array(list(old.values()))
    _, codes = tokenizer.encode(new, taken_codes=taken)
    assert len({tuple(row) for row in codes.tolist()}) == 60
    assert not {tuple(row) for row in codes.tolist()} & set(old.values())


def test_taken_codes_must_be_codes_of_this_tokenizer() -> None:
    items = make_items()
    tokenizer = ItemTokenizer(kmeans()).fit(items)
    for taken in (np.array([[0, 0]]), np.array([[0, 0, 8]]), np.array([[0.0, 0.0, 0.0]])):
        with pytest.raises(SemanticIdError):
            tokenizer.encode(items, taken_codes=taken)


def test_decoded_vectors_resemble_the_embeddings() -> None:
    items = make_items()
    vectors = make_vectors(items)
    tokenizer = ItemTokenizer(ResidualKMeans(3, 16), collisions="extra_code").fit(items, embeddings=vectors)
    item_ids, codes = tokenizer.encode(items, embeddings=vectors)
    decoded = tokenizer.decode(codes)
    original = vectors.vectors_for(item_ids)
    assert decoded.shape == original.shape
    assert np.square(decoded - original).sum() < 0.2 * np.square(original - original.mean(axis=0)).sum()


def test_without_an_encoder_new_items_need_vectors(tmp_path: Path) -> None:
    items = make_items()
    vectors = make_vectors(items)
    tokenizer = ItemTokenizer(kmeans()).fit(items, embeddings=vectors)
    tokenizer.save(tmp_path / "tokenizer")
    loaded = ItemTokenizer.load(tmp_path / "tokenizer")
    with pytest.raises(DataError, match="handed in"):
        loaded.encode(items)
    np.testing.assert_array_equal(
        loaded.encode(items, embeddings=vectors)[1], tokenizer.encode(items, embeddings=vectors)[1]
    )


def test_encoder_beside_given_vectors_is_fitted_for_later_items() -> None:
    items = make_items()
    encoder = LsaItemEncoder(dim=6)
    vectors = LsaItemEncoder(dim=6).encode(items)
    tokenizer = ItemTokenizer(kmeans(), encoder=encoder).fit(items, embeddings=vectors)
    assert as_dict(tokenizer, items) == as_dict(
        ItemTokenizer(kmeans(), encoder=LsaItemEncoder(dim=6)).fit(items), items
    )


def test_vectors_must_cover_the_items_and_keep_their_width() -> None:
    items = make_items()
    vectors = make_vectors(items)
    with pytest.raises(DataError, match="have no vector"):
        ItemTokenizer(kmeans()).fit(
            items, embeddings=EmbeddingTable(items.item_ids[:50], vectors.vectors[:50])
        )
    tokenizer = ItemTokenizer(kmeans()).fit(items, embeddings=vectors)
    with pytest.raises(DataError, match="width 4"):
        tokenizer.encode(items, embeddings=make_vectors(items, dim=4))


def test_one_item_and_equal_items() -> None:
    for rows in (1, 60):
        items = ItemTable.from_rows({"item_id": str(row), "title": "soap"} for row in range(rows))
        tokenizer = ItemTokenizer(kmeans()).fit(items)
        assert len(set(as_dict(tokenizer, items).values())) == rows


def test_more_items_than_ids_is_a_clear_error() -> None:
    items = make_items(9)
    with pytest.raises(SemanticIdError, match="9 items do not fit into 8 Semantic IDs"):
        ItemTokenizer(ResidualKMeans(3, 2)).fit(items).encode(items)
    crowd = ItemTable.from_rows({"item_id": str(row), "title": "soap"} for row in range(9))
    with pytest.raises(SemanticIdError, match="matching"):
        ItemTokenizer(ResidualKMeans(3, 2), collisions="extra_code", extra_code_size=8).fit(crowd).encode(
            crowd
        )


def test_nothing_is_encoded_before_fit() -> None:
    items = make_items()
    with pytest.raises(DataError, match="learned nothing"):
        ItemTokenizer(kmeans()).encode(items)
    fitted = kmeans().fit(make_vectors(items).vectors)
    with pytest.raises(DataError, match="encoder has learned nothing"):
        ItemTokenizer(fitted, encoder=LsaItemEncoder()).encode(items)
    with pytest.raises(DataError, match="learned nothing"):
        ItemTokenizer(kmeans()).encode(items, embeddings=make_vectors(items))


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError):
        ItemTokenizer(kmeans(), collisions="ignore")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        ItemTokenizer(kmeans(), extra_code_size=0)


def test_altered_parts_are_refused(tmp_path: Path) -> None:
    ItemTokenizer(kmeans()).fit(make_items()).save(tmp_path / "t")
    assert (tmp_path / "t" / MANIFEST).is_file()
    path = tmp_path / "t" / "encoder" / "terms.json"
    path.write_text(path.read_text().replace("soap", "soup"))
    with pytest.raises(ArtifactError, match=r"terms\.json"):
        ItemTokenizer.load(tmp_path / "t")
    with pytest.raises(ArtifactError, match="there is no folder"):
        ItemTokenizer.load(tmp_path / "nowhere")


def test_a_tokenizer_that_is_not_fitted_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        ItemTokenizer(kmeans()).save(tmp_path / "t")
    assert not (tmp_path / "t").exists()
