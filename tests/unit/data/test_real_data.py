"""The real data sets, against the counts their READMEs give."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrec.data import InteractionLog, ItemTable
from genrec.errors import DataError


@pytest.mark.parametrize(
    ("folder", "items", "users", "interactions", "kind", "titles"),
    [
        ("amazon_beauty", 12_101, 22_363, 198_502, "order", 12_094),
        ("amazon_scientific", 4_344, 8_317, 58_492, "order", 4_320),
        ("bundles_amazon", 11_753, None, 18_886, "absolute", 11_753),
    ],
)
def test_counts(
    shared_data: Path, folder: str, items: int, users: int | None, interactions: int, kind: str, titles: int
) -> None:
    table = ItemTable.read(shared_data / folder / "items.jsonl.gz")
    log = InteractionLog.read(shared_data / folder / "interactions.csv.gz", items=table)
    assert len(table) == items
    assert sum(bool(title) for title in table.table.column("title").to_pylist()) == titles
    assert (len(log), log.time_kind) == (interactions, kind)
    assert users is None or len(log.user_ids) == users
    if kind == "order":
        assert log.k_core(5) is log
        assert len(log.item_ids) == items
        split = log.leave_one_out()
        assert len(split.validation) == len(split.test) == users
        assert len(split.train) == interactions - 2 * len(split.test)
        with pytest.raises(DataError, match="absolute"):
            log.time_split(0.1, 0.1)
    else:
        split = log.time_split(0.2, 0.2)
        assert split.train.times is not None
        assert len(split.test) > 0


def test_scientific_round_trips_through_every_format(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "amazon_scientific"
    items = ItemTable.read(folder / "items.jsonl.gz")
    log = InteractionLog.read(folder / "interactions.csv.gz")
    for suffix in ("jsonl.gz", "csv", "parquet", "item"):
        items.write(tmp_path / f"items.{suffix}")
        assert ItemTable.read(tmp_path / f"items.{suffix}").fingerprint() == items.fingerprint()
    for suffix in ("jsonl.gz", "csv", "parquet", "inter"):
        log.write(tmp_path / f"log.{suffix}")
        assert InteractionLog.read(tmp_path / f"log.{suffix}").fingerprint() == log.fingerprint()
