"""The script that makes a user's own copy of Amazon Beauty: joining, cleaning, checks before writing."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import io
import json
import sys
import urllib.request
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from genrec import InteractionLog, ItemTable

ROOT = Path(__file__).resolve().parents[2]
NUMBERED = "1 2 0 0\n2 1\n"
NAMED = "reviewerA B002 B000 B000\nreviewerB B001\n"
TITLES = {"0": "Rose &amp; Co  Soap", "1": "title_7", "2": "Comb"}
CATEGORIES = {
    "0": [["Beauty", "Bath"]],
    "1": [["Beauty", "Nails"]],
    "2": [["Beauty"], ["Hair &amp; Care", "Combs", "Fine"]],
}


@pytest.fixture
def script() -> ModuleType:
    path = ROOT / "scripts" / "prepare_amazon_beauty.py"
    spec = importlib.util.spec_from_file_location("prepare_amazon_beauty", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def saved_by_numpy(mapping: dict[str, object]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(mapping, dtype=object))
    return file.getvalue()


def served(address: str, timeout: float) -> io.BytesIO:
    return io.BytesIO(
        {
            "sequential_data.txt": NUMBERED.encode(),
            "user_sequence.txt": NAMED.encode(),
            "title_maps.npy": saved_by_numpy({"id2title": TITLES, "seqid2title": {}}),
            "category_map.npy": saved_by_numpy({"id2category": CATEGORIES}),
        }[address.rsplit("/", 1)[-1]]
    )


def test_sources_are_joined_and_texts_cleaned(script: ModuleType, tmp_path: Path) -> None:
    for name, content in script.convert(NUMBERED, NAMED, TITLES, CATEGORIES).items():
        (tmp_path / name).write_bytes(content)
    items = ItemTable.read(tmp_path / "items.jsonl")
    assert items.item_ids == ["B000", "B001", "B002"]
    assert [items.title(item) for item in items.item_ids] == ["Rose & Co Soap", "", "Comb"]
    assert items.row("B002")["categories"] == ["Hair & Care", "Combs", "Fine"]
    assert items.row("B002")["category_paths"] == [["Beauty"], ["Hair & Care", "Combs", "Fine"]]
    log = InteractionLog.read(tmp_path / "interactions.csv", items=items)
    assert log.user_ids == ["1", "2"]
    assert log.history("1") == ["B002", "B000", "B000"]


def test_the_real_files_are_those_the_script_makes(script: ModuleType, shared_data: Path) -> None:
    folder = shared_data / "amazon_beauty"
    numbers = json.loads(gzip.decompress((folder / "item_id_maps.json.gz").read_bytes()))["transrec"]
    rows = [
        json.loads(line) for line in gzip.decompress((folder / "items.jsonl.gz").read_bytes()).splitlines()
    ]
    histories: dict[str, list[str]] = {}
    uses = gzip.decompress((folder / "interactions.csv.gz").read_bytes()).decode().splitlines()
    for use in csv.DictReader(uses):
        histories.setdefault(use["user_id"], []).append(use["item_id"])
    files = script.convert(
        "\n".join(f"{user} {' '.join(numbers[item] for item in row)}" for user, row in histories.items()),
        "\n".join(f"reviewer {' '.join(row)}" for row in histories.values()),
        {numbers[row["item_id"]]: row.get("title", "title_1") for row in rows},
        {numbers[row["item_id"]]: row.get("category_paths", [row["categories"]]) for row in rows},
    )
    assert {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} == script.SHA256


def test_other_bytes_are_refused_and_nothing_is_written(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare", str(tmp_path / "out")])
    monkeypatch.setattr(urllib.request, "urlopen", served)
    assert script.main() == 1
    received = "items.jsonl: 3 lines, interactions.csv: 5 lines; changed: items.jsonl, interactions.csv"
    assert received in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_passes_the_checks_is_written(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = script.convert(NUMBERED, NAMED, TITLES, CATEGORIES)
    monkeypatch.setattr(
        script, "SHA256", {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    )
    monkeypatch.setattr(sys, "argv", ["prepare", str(tmp_path / "out")])
    monkeypatch.setattr(urllib.request, "urlopen", served)
    assert script.main() == 0
    assert (
        gzip.decompress((tmp_path / "out" / "interactions.csv.gz").read_bytes()) == files["interactions.csv"]
    )


def test_sources_that_do_not_fit_together_are_refused(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "NAMED", "reviewerA B002\n")
    monkeypatch.setattr(sys.modules[__name__], "TITLES", {})
    monkeypatch.setattr(sys, "argv", ["prepare", str(tmp_path / "out")])
    monkeypatch.setattr(urllib.request, "urlopen", served)
    assert script.main() == 1
    assert "is not what the recipe's numbers were made with" in capsys.readouterr().err


def test_no_network_is_told(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(url: str, timeout: float) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(sys, "argv", ["prepare", str(tmp_path / "out")])
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    assert script.main() == 1
    message = capsys.readouterr().err
    assert "the source cannot be fetched" in message
    assert "no route to host" in message
