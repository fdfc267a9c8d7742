"""Principal components against the singular value decomposition written out."""

from __future__ import annotations

import numpy as np
import pytest

from genrec.embeddings import EmbeddingTable, PrincipalComponents
from genrec.errors import ConfigError


@pytest.fixture
def table() -> EmbeddingTable:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(40, 7)) * np.array([5, 3, 2, 1, 1, 0.5, 0.1]) + 2
    return EmbeddingTable([f"i{i}" for i in range(40)], values.astype(np.float32))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_products_are_those_of_the_decomposition(table: EmbeddingTable, power: float) -> None:
    found = PrincipalComponents(4, power, 3.0).fit(table).apply(table).vectors
    vectors = np.asarray(table.vectors, dtype=np.float64)
    left, singular, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    expected = left[:, :4] * singular[:4] ** power
    expected *= 3 * np.sqrt(40 / np.square(expected).sum())
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-4)
    assert np.square(found).sum(axis=1).mean() == pytest.approx(9, rel=1e-5)


def test_directions_that_are_not_spanned_are_zero(table: EmbeddingTable) -> None:
    flat = EmbeddingTable(table.item_ids, np.repeat(table.vectors[:, :2], 2, axis=1))
    found = PrincipalComponents(6, 0.5).fit(flat).apply(flat).vectors
    assert found.shape == (40, 6)
    assert np.abs(found[:, 2:]).max() < 1e-4
    assert np.abs(found[:, :2]).min(axis=1).max() > 0


def test_equal_vectors_and_the_order_of_rows(table: EmbeddingTable) -> None:
    same = EmbeddingTable(["a", "b"], np.ones((2, 3), dtype=np.float32))
    assert not PrincipalComponents(2).fit(same).apply(same).vectors.any()
    turned = EmbeddingTable(table.item_ids[::-1], table.vectors[::-1])
    one = PrincipalComponents(3).fit(table).apply(table).vectors_for(table.item_ids)
    other = PrincipalComponents(3).fit(turned).apply(turned).vectors_for(table.item_ids)
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_what_does_not_fit_is_refused(table: EmbeddingTable) -> None:
    with pytest.raises(ConfigError, match=r"power=2"):
        PrincipalComponents(3, 2)
    with pytest.raises(ConfigError, match="do not fit"):
        PrincipalComponents(3).apply(table)
