"""A retired item is never recommended, and stands in a history as an unknown id does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from genrec import GenerativeRecommender, ItemTable
from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.recommender.bundle import BundleSettings
from genrec.tasks import Sequences, held_out_rows

IDS = [f"i{row}" for row in range(30)]
RETIRED = ["i7", "i11", "i12"]


@pytest.fixture(scope="module")
def make(make_tiny: Callable[..., Any]) -> Callable[[Catalog | None], GenerativeRecommender]:
    tiny = make_tiny(30)
    items = ItemTable.from_rows({"item_id": item, "title": item} for item in IDS)
    first = Catalog(IDS, tiny.codes, tiny.vocabulary.spec)

    def recommender(catalog: Catalog | None = None) -> GenerativeRecommender:
        return GenerativeRecommender(
            tiny.model,
            tiny.text_tokenizer,
            tiny.vocabulary,
            catalog or first,
            items,
            settings=BundleSettings(num_beams=30, popular_items=("i7", "i3")),
        )

    return recommender


def test_retired_items_are_never_recommended_and_come_back_when_restored(
    make: Callable[..., GenerativeRecommender],
) -> None:
    first = make()
    before = [r.item_id for r in first.recommend(["i1", "i2"], 30, exclude_history=False)]
    less = make(first.catalog.retire(RETIRED))
    found = [r.item_id for r in less.recommend(["i1", "i2"], 30, exclude_history=False)]
    assert set(found) == set(IDS) - set(RETIRED)
    assert [r.item_id for r in less.recommend([], 2)] == ["i3"]
    again = make(less.catalog.restore(RETIRED))
    assert [r.item_id for r in again.recommend(["i1", "i2"], 30, exclude_history=False)] == before


def test_a_retired_item_in_a_history_follows_the_policy_for_unknown_ids(
    make: Callable[..., GenerativeRecommender],
) -> None:
    less = make(make().catalog.retire(RETIRED))
    with pytest.raises(DataError, match="not in the catalog"):
        less.recommend(["i1", "i7"], 3)
    assert less.recommend(["i1", "i7"], 3, unknown="skip") == less.recommend(["i1"], 3)


def test_no_training_row_names_a_retired_item(make: Callable[..., GenerativeRecommender]) -> None:
    catalog = make().catalog.retire(RETIRED)
    rows = [{"user_id": "u", "item_id": item, "timestamp": n} for n, item in enumerate(["i1", "i7", "i2"])]
    sequences = Sequences.from_log(catalog, InteractionLog.from_rows(rows))
    assert [catalog.item_ids[row] for row in sequences.rows] == ["i1", "i2"]
    excluded = held_out_rows(catalog, ["i2", "stranger"])
    assert {catalog.item_ids[row] for row in excluded.nonzero()[0]} == {*RETIRED, "i2"}
