"""Sinkhorn rounds: unique or an error that says why not, nothing moved without need."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.errors import SemanticIdError
from genrec.quantization.sinkhorn import centred, transport_plan
from genrec.semantic_ids import resolve_sinkhorn_rounds

SIZES = (3, 8)


def last_code_distances(vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.square(vectors[:, 1:] - np.arange(SIZES[-1])).astype(np.float32)


def resolve(vectors: np.ndarray, taken: np.ndarray | None = None) -> np.ndarray:
    return resolve_sinkhorn_rounds(
        native(vectors), SIZES, vectors, last_code_distances=last_code_distances, taken_codes=taken
    )


def native(vectors: np.ndarray) -> np.ndarray:
    return np.stack([vectors[:, 0], np.clip(np.round(vectors[:, 1]), 0, 7)], axis=1).astype(np.int32)


def test_a_plan_uses_all_columns_alike() -> None:
    distances = np.random.default_rng(0).random((40, 8)) * np.arange(1, 9)
    plan = transport_plan(np.exp(-centred(distances) / 0.05), iterations=200)
    np.testing.assert_allclose(plan.sum(axis=0), 5)
    np.testing.assert_allclose(plan.sum(axis=1), 1, atol=1e-3)


def test_a_plan_is_the_same_in_torch() -> None:
    import torch

    kernel = np.exp(-centred(np.random.default_rng(0).random((6, 4))) / 0.003)
    np.testing.assert_allclose(transport_plan(torch.from_numpy(kernel)).numpy(), transport_plan(kernel))


def test_items_that_share_an_id_are_spread_and_others_stay() -> None:
    vectors = np.array([[0, 1.1], [0, 0.9], [0, 5.0], [1, 2.0]], dtype=np.float32)
    resolved = resolve(vectors)
    assert len(np.unique(resolved, axis=0)) == 4
    np.testing.assert_array_equal(resolved[2:], native(vectors)[2:])
    np.testing.assert_array_equal(resolved[:, 0], native(vectors)[:, 0])


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 7, width=32)), min_size=1, max_size=14),
    st.sets(st.tuples(st.integers(0, 2), st.integers(0, 7)), max_size=5),
)
def test_ids_are_unique_or_an_error_says_why(
    rows: list[tuple[int, float]], taken: set[tuple[int, int]]
) -> None:
    vectors = np.array(rows, dtype=np.float32)
    taken_codes = np.array(sorted(taken), dtype=np.int32).reshape(-1, 2)
    try:
        resolved = resolve(vectors, taken_codes)
    except SemanticIdError:
        together = np.concatenate([native(vectors), taken_codes])
        assert len(np.unique(together, axis=0)) < len(together)  # none where nothing had to be done
        return
    found = {tuple(row) for row in resolved.tolist()}
    assert len(found) == len(rows)
    assert not found & taken
    np.testing.assert_array_equal(resolved[:, 0], native(vectors)[:, 0])


def test_equal_vectors_cannot_be_told_apart_and_the_error_says_so() -> None:
    with pytest.raises(SemanticIdError, match="1 have the vector of another"):
        resolve(np.array([[0, 1.0], [0, 1.0]], dtype=np.float32))


def test_a_prefix_with_more_items_than_codes_is_an_error() -> None:
    vectors = np.stack([np.zeros(9), np.linspace(0, 7, 9)], axis=1).astype(np.float32)
    with pytest.raises(SemanticIdError, match="9 items share a prefix that has 8"):
        resolve(vectors)


def test_no_items_is_no_work() -> None:
    assert resolve(np.empty((0, 2), dtype=np.float32)).shape == (0, 2)
