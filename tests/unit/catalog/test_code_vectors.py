"""Vectors of codes: the codebooks of a residual quantizer come back, whatever the item order."""

from __future__ import annotations

import numpy as np
import pytest

from genrec.catalog import Catalog, code_vectors
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError
from genrec.semantic_ids import SemanticIdSpec

SIZES = (4, 3)


def full_catalog() -> tuple[Catalog, list[np.ndarray], EmbeddingTable]:
    """Every ID has an item, whose vector is the sum of its codes' vectors."""
    rng = np.random.default_rng(0)
    books = [rng.normal(size=(size, 5)) for size in SIZES]
    codes = np.stack([grid.ravel() for grid in np.indices(SIZES)], axis=1)
    ids = [f"item {n}" for n in range(len(codes))]
    catalog = Catalog(ids, codes, SemanticIdSpec(SIZES))
    vectors = sum(book[codes[:, p]] for p, book in enumerate(books)).astype(np.float32)
    return catalog, books, EmbeddingTable(ids, vectors)


def test_centred_codebooks_come_back() -> None:
    catalog, books, table = full_catalog()
    for found, book in zip(code_vectors(catalog, table), books, strict=True):
        np.testing.assert_allclose(found, book - book.mean(axis=0), atol=1e-5)


def test_a_code_without_an_item_is_zero() -> None:
    catalog = Catalog(["a", "b"], np.array([[0, 0], [2, 1]]), SemanticIdSpec(SIZES))
    table = EmbeddingTable(["a", "b"], np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32))
    first, second = code_vectors(catalog, table)
    assert first.shape == (4, 2)
    assert second.shape == (3, 2)
    np.testing.assert_allclose(first[[1, 3]], 0)
    np.testing.assert_allclose(first[0], [0.5, -0.5])
    np.testing.assert_allclose(second, 0)  # each prefix has one item: nothing is left to say


def test_an_item_without_a_vector_is_named() -> None:
    catalog, _, _ = full_catalog()
    with pytest.raises(DataError, match="have no vector"):
        code_vectors(catalog, EmbeddingTable(["item 0"], np.ones((1, 5), dtype=np.float32)))
