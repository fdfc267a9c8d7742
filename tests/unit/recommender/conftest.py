"""A small synthetic shop with an untrained model: what is tested here must hold whatever the model says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from genrec import Catalog, GenerativeRecommender, ItemTable, SyntheticWorld
from genrec.recommender.bundle import BundleSettings

SIZES = (8, 6, 8)


@pytest.fixture(scope="session")
def shop_items() -> ItemTable:
    """120 items with brands, categories, prices and descriptions."""
    return SyntheticWorld.generate(seed=0, num_items=120, num_users=20).items


@pytest.fixture(scope="session")
def shop(make_tiny: Callable[..., Any], shop_items: ItemTable) -> GenerativeRecommender:
    """A recommender of the shop; its popular items are five."""
    tiny = make_tiny(len(shop_items), sizes=SIZES)
    catalog = Catalog(shop_items.item_ids, tiny.codes, tiny.vocabulary.spec)
    settings = BundleSettings(num_beams=8, popular_items=tuple(catalog.item_ids[:5]))
    return GenerativeRecommender(
        tiny.model, tiny.text_tokenizer, tiny.vocabulary, catalog, shop_items, settings=settings
    )
