"""The floors on real data: below them a baseline is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrec.baselines import ItemKNN, Popularity, tune_item_knn
from genrec.data import InteractionLog, ItemTable
from genrec.ranking import Ranker


@pytest.mark.slow
def test_scientific(shared_data: Path) -> None:
    folder = shared_data / "amazon_scientific"
    items = ItemTable.read(folder / "items.jsonl.gz")
    split = InteractionLog.read(folder / "interactions.csv.gz", items=items).leave_one_out()
    ids = items.item_ids

    def recall(ranker: Ranker) -> float:
        found, _ = ranker.rank(split.test.histories, 10)
        hits = [target in row for target, row in zip(split.test.targets, found.tolist(), strict=True)]
        return sum(hits) / len(hits)

    assert len(split.test) == 8317
    assert recall(Popularity(split.train, ids)) == pytest.approx(0.0231, abs=0.00005)
    assert recall(ItemKNN(split.train, ids)) >= 0.095  # the floor is .090
    tuned = tune_item_knn(split.train, split.validation, ids, shrinkages=(100.0, 20.0), max_cases=2000)
    assert recall(tuned) >= 0.095
