"""Tables from Hugging Face `datasets`, saved in a folder or in memory; nothing here reaches a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genrec.data import InteractionLog, ItemTable
from genrec.errors import DataError

datasets = pytest.importorskip("datasets")

ROWS = [{"asin": "a", "title": "A", "tags": ["x"]}, {"asin": "b", "title": None, "tags": []}]
LOG = [{"user_id": 1, "item_id": "b", "timestamp": 2}, {"user_id": 1, "item_id": "a", "timestamp": 1}]


def test_a_data_set_in_memory() -> None:
    data = datasets.Dataset.from_list(ROWS)
    items = ItemTable.from_dataset(data, columns={"item_id": "asin"})
    assert items.row("a") == {"item_id": "a", "title": "A", "tags": ["x"]}
    assert items.title("b") == ""
    turned = ItemTable.from_dataset(data.select([1, 0]), columns={"item_id": "asin"})
    assert turned.item_ids == ["b", "a"]
    log = InteractionLog.from_dataset(datasets.Dataset.from_list(LOG), time="order")
    assert (log.history("1"), log.time_kind) == (["a", "b"], "order")
    assert ItemTable.from_dataset(
        datasets.DatasetDict({"train": data}), columns={"item_id": "asin"}
    ).item_ids == ["a", "b"]


def test_a_saved_folder(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "items")
    items = ItemTable.read(tmp_path / "items", columns={"item_id": "asin"})
    assert items.item_ids == ["a", "b"]
    with pytest.raises(DataError, match="items has no column item_id") as caught:
        ItemTable.read(tmp_path / "items")
    assert caught.value.received == "columns asin, title, tags"


def test_splits_are_chosen_by_name(tmp_path: Path) -> None:
    both = datasets.DatasetDict(
        {"first": datasets.Dataset.from_list(LOG[:1]), "all": datasets.Dataset.from_list(LOG)}
    )
    both.save_to_disk(tmp_path / "log")
    assert len(InteractionLog.read(tmp_path / "log", split="all")) == 2
    assert len(InteractionLog.read(tmp_path / "log", split="first")) == 1
    for split in (None, "test"):
        with pytest.raises(DataError, match="log has the splits first, all") as caught:
            InteractionLog.read(tmp_path / "log", split=split)
        assert caught.value.remedy == 'choose one, such as split="first"'
    datasets.Dataset.from_list(LOG).save_to_disk(tmp_path / "one")
    with pytest.raises(DataError, match="no data set with such a split"):
        InteractionLog.read(tmp_path / "one", split="train")


def test_faults_of_a_data_set_name_its_row(tmp_path: Path) -> None:
    datasets.Dataset.from_list([*LOG, {"user_id": 2, "item_id": "", "timestamp": 3}]).save_to_disk(
        tmp_path / "log"
    )
    with pytest.raises(DataError, match="log, row 3, column item_id: the id is missing"):
        InteractionLog.read(tmp_path / "log")
    with pytest.raises(DataError, match="no data set with rows"):
        ItemTable.from_dataset(ROWS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot be loaded with datasets"):
        ItemTable.read(tmp_path / "empty")


def test_a_name_is_loaded_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str) -> Any:
        asked.append(name)
        if name == "you/none":
            raise ConnectionError("no such place")
        return datasets.DatasetDict({"train": datasets.Dataset.from_list(LOG)})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(InteractionLog.read("you/log")) == 2
    with pytest.raises(
        DataError, match="you/none cannot be loaded with datasets: ConnectionError: no such place"
    ):
        InteractionLog.read("you/none")
    assert asked == ["you/log", "you/none"]


def test_the_room_loads_neither_torch_nor_datasets() -> None:
    code = "import sys, genrec.data; print([m for m in ('torch', 'datasets', 'scipy') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip() == "[]"
