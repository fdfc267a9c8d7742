"""Histories as rows of the catalog, and their recency weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.baselines.catalog_rows import CatalogRows, check_decay
from genrec.data import InteractionLog, canonical_order
from genrec.errors import DataError


def test_items_outside_the_catalog_are_left_out() -> None:
    catalog = CatalogRows(["x", "y"])
    order = canonical_order(["x", "y"])
    assert catalog.known(["y", "gone", "x", "y"]) == [order.index("y"), order.index("x"), order.index("y")]


def test_training_rows_keep_users_apart_and_drop_foreign_items() -> None:
    rows = [("u", "x"), ("u", "gone"), ("u", "y"), ("v", "gone"), ("w", "y")]
    log = InteractionLog.from_rows(
        [{"user_id": user, "item_id": item, "timestamp": time} for time, (user, item) in enumerate(rows)]
    )
    catalog = CatalogRows(["x", "y"])
    items, users = catalog.training(log)
    named = list(zip(users.tolist(), catalog.names[items].tolist(), strict=True))
    assert named == [(0, "x"), (0, "y"), (2, "y")]


@given(
    histories=st.lists(st.lists(st.integers(0, 4), max_size=8), min_size=1, max_size=4),
    decay=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_weights_fall_with_age_and_repeats_add_up(histories: list[list[int]], decay: float) -> None:
    expected = np.zeros((len(histories), 5))
    for i, history in enumerate(histories):
        for age, row in enumerate(reversed(history)):
            expected[i, row] += decay**age
    found = CatalogRows("abcde").recency_weights(histories, decay).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_weights_too_small_to_count_are_not_kept() -> None:
    weights = CatalogRows("ab").recency_weights([[0] * 1000 + [1]], decay=0.4)
    assert weights.nnz == 76  # 0.4 ** 75 > 1e-30 > 0.4 ** 76
    assert weights.data.min() > 0


@pytest.mark.parametrize("decay", [0.0, -1.0, 1.5, float("nan")])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(DataError, match="recency decay"):
        check_decay(decay)
