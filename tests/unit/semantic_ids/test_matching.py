"""Matching: unique, least cost, nothing moved without need, spills where it must."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.errors import SemanticIdError
from genrec.semantic_ids import matching, resolve_matching, spill

SIZES = (3, 4)


def grid(codes: np.ndarray) -> np.ndarray:
    """A toy quantizer's points: the first code counts ten, the last one."""
    weights = 10.0 ** np.arange(codes.shape[1])[::-1]
    return (codes * weights).sum(axis=1)


def last_code_distances(vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
    prefix = grid(codes) - codes[:, -1]
    return np.square(vectors[:, :1] - prefix[:, None] - np.arange(SIZES[-1])).astype(np.float32)


def prefix_distances(vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
    return np.square(vectors[:, :1] - 10.0 * grid(prefixes)).astype(np.float32)


def resolve(vectors: np.ndarray, codes: np.ndarray, taken: np.ndarray | None = None) -> np.ndarray:
    return resolve_matching(
        codes,
        SIZES,
        vectors,
        last_code_distances=last_code_distances,
        prefix_distances=prefix_distances,
        taken_codes=taken,
    )


def native(vectors: np.ndarray) -> np.ndarray:
    """Codes of the toy quantizer for vectors [n, 1]."""
    first = np.clip(np.round(vectors[:, 0] / 10), 0, SIZES[0] - 1)
    last = np.clip(np.round(vectors[:, 0] - 10 * first), 0, SIZES[1] - 1)
    return np.stack([first, last], axis=1).astype(np.int32)


def rows_as_set(codes: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(row) for row in codes.tolist()}


vectors_strategy = st.lists(st.floats(-5, 30, width=32), min_size=1, max_size=12).map(
    lambda values: np.array(values, dtype=np.float32)[:, None]
)


@given(vectors_strategy)
def test_ids_are_unique_and_in_range(vectors: np.ndarray) -> None:
    resolved = resolve(vectors, native(vectors))
    assert len(rows_as_set(resolved)) == len(vectors)
    assert (resolved >= 0).all()
    assert (resolved < np.array(SIZES)).all()


@given(vectors_strategy)
def test_prefixes_without_a_collision_stay_as_they_are(vectors: np.ndarray) -> None:
    codes = native(vectors)
    resolved = resolve(vectors, codes)
    received = set(resolved[(resolved[:, 0] != codes[:, 0]), 0].tolist())  # prefixes that items spilled into
    for first in set(range(SIZES[0])) - received:
        rows = codes[:, 0] == first
        if len(rows_as_set(codes[rows])) == rows.sum():
            np.testing.assert_array_equal(resolved[rows], codes[rows])


@given(st.lists(st.floats(-1, 5, width=32), min_size=2, max_size=4))
def test_cost_within_a_prefix_is_the_least_there_is(values: list[float]) -> None:
    vectors = np.array(values, dtype=np.float32)[:, None]
    codes = native(vectors)
    if (codes[:, 0] != 0).any() or len(rows_as_set(codes)) == len(codes):
        return
    costs = last_code_distances(vectors, codes)
    resolved = resolve(vectors, codes)
    assert (resolved[:, 0] == 0).all()
    got = costs[np.arange(len(codes)), resolved[:, 1]].sum()
    best = min(
        sum(costs[row, column] for row, column in enumerate(choice))
        for choice in itertools.permutations(range(SIZES[1]), len(codes))
    )
    assert got == pytest.approx(best, rel=1e-5)


@given(vectors_strategy, st.sets(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=6))
def test_taken_ids_are_never_given_out(vectors: np.ndarray, taken: set[tuple[int, int]]) -> None:
    taken_codes = np.array(sorted(taken), dtype=np.int32).reshape(-1, 2)
    if len(vectors) + len(taken_codes) > 12:
        with pytest.raises(SemanticIdError, match="do not fit"):
            resolve(vectors, native(vectors), taken_codes)
        return
    resolved = resolve(vectors, native(vectors), taken_codes)
    assert len(rows_as_set(resolved)) == len(vectors)
    assert not rows_as_set(resolved) & taken


def test_taken_ids_may_be_named_twice() -> None:
    vectors = np.zeros((11, 1), dtype=np.float32)
    taken = np.array([[0, 0]] * 9, dtype=np.int32)
    assert len(rows_as_set(resolve(vectors, native(vectors), taken)) - {(0, 0)}) == 11


def test_the_worst_fitting_item_spills_to_the_next_nearest_prefix() -> None:
    # Five items near prefix 1, which has four codes; the one at 13.9 is furthest from its own ID.
    vectors = np.array([[10.0], [11.0], [12.1], [13.9], [13.1]], dtype=np.float32)
    resolved = resolve(vectors, native(vectors))
    np.testing.assert_array_equal(resolved[:, 0], [1, 1, 1, 2, 1])
    assert resolved[3].tolist() == [2, 0]


def test_a_full_catalog_of_equal_vectors_uses_every_id() -> None:
    vectors = np.zeros((12, 1), dtype=np.float32)
    resolved = resolve(vectors, native(vectors))
    assert rows_as_set(resolved) == set(itertools.product(range(3), range(4)))


def test_spilling_goes_on_when_the_remembered_prefixes_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_KEPT", 1)
    monkeypatch.setattr(spill, "_PREFIXES", 2)
    vectors = np.zeros((12, 1), dtype=np.float32)
    assert len(rows_as_set(resolve(vectors, native(vectors)))) == 12


def test_results_do_not_depend_on_how_much_is_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).uniform(-5, 30, size=(11, 1)).astype(np.float32)
    whole = resolve(vectors, native(vectors))
    monkeypatch.setattr(matching, "_CELLS", 5)
    monkeypatch.setattr(spill, "_ROWS", 1)
    np.testing.assert_array_equal(resolve(vectors, native(vectors)), whole)


def test_prefixes_nobody_uses_are_opened_when_the_others_are_full() -> None:
    """Three positions: the overfull prefix's siblings are not enough, further prefixes are needed."""
    sizes = (4, 2, 2)
    codes = np.zeros((15, 3), dtype=np.int32)
    resolved = resolve_matching(
        codes,
        sizes,
        np.zeros((15, 1), dtype=np.float32),
        last_code_distances=lambda v, c: np.zeros((len(v), 2), dtype=np.float32),
        prefix_distances=lambda v, p: np.broadcast_to(p.sum(axis=1, dtype=np.float32), (len(v), len(p))),
    )
    assert len(rows_as_set(resolved)) == 15


def test_one_position_is_one_prefix() -> None:
    codes = np.array([[1], [1], [1]], dtype=np.int32)
    resolved = resolve_matching(
        codes,
        (3,),
        np.array([[0.0], [1.0], [2.0]], dtype=np.float32),
        last_code_distances=lambda v, c: np.square(v - np.arange(3)).astype(np.float32),
        prefix_distances=lambda v, p: np.zeros((len(v), len(p)), dtype=np.float32),
    )
    assert resolved[:, 0].tolist() == [0, 1, 2]


def test_more_items_than_ids_is_an_error_that_says_so() -> None:
    vectors = np.zeros((13, 1), dtype=np.float32)
    with pytest.raises(SemanticIdError, match="13 items do not fit into 12"):
        resolve(vectors, native(vectors))


def test_no_items_is_no_work() -> None:
    assert resolve(np.empty((0, 1), dtype=np.float32), np.empty((0, 2), dtype=np.int32)).shape == (0, 2)


def test_many_items_with_rare_collisions_are_resolved_within_their_prefixes() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 64, size=(20_000, 3), dtype=np.int32)
    points = rng.normal(size=(20_000, 64)).astype(np.float32)

    def by_row(vectors: np.ndarray, _: np.ndarray) -> np.ndarray:
        return points[vectors[:, 0].astype(np.int64)]

    rows = np.arange(20_000, dtype=np.float32)[:, None]
    resolved = resolve_matching(
        codes, (64, 64, 64), rows, last_code_distances=by_row, prefix_distances=by_row
    )
    assert len(np.unique(resolved, axis=0)) == 20_000
    np.testing.assert_array_equal(resolved[:, :2], codes[:, :2])
