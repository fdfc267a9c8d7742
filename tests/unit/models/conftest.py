"""A small catalog with content, for the item models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from genrec.catalog import CatalogTrie
from genrec.models import ItemLevelModel

SIZES = (4, 3, 5)
SMALL = {"hidden_size": 16, "num_layers": 2, "intermediate_size": 24, "max_positions": 8, "dropout": 0.1}


@pytest.fixture(scope="session")
def item_codes() -> np.ndarray:
    numbers = np.random.default_rng(0).choice(60, size=25, replace=False)
    return np.stack(np.unravel_index(numbers, SIZES), axis=1)


@pytest.fixture(scope="session")
def item_content() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(25, 6)).astype(np.float32)


@pytest.fixture
def make_item_level(item_codes: np.ndarray, item_content: np.ndarray) -> Callable[..., ItemLevelModel]:
    """Large random weights, so that scores differ clearly."""

    def make(content: bool = True, **options: Any) -> ItemLevelModel:
        sizes = {**SMALL, "initializer_range": 0.5, **options}
        trie = CatalogTrie.from_codes(item_codes, SIZES)
        return ItemLevelModel.for_catalog(trie, item_content if content else None, seed=3, **sizes).eval()

    return make
