"""The script that makes a user's own copy of Amazon Scientific: cleaning, new ids, checks before writing."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import sys
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from genrec import InteractionLog, ItemTable

ROOT = Path(__file__).resolve().parents[2]
ITEMS = {
    "0": {
        "title": "Tin &amp; Co  Widget.",
        "brand": "Tin",
        "categories": "A & B,Widgets, ",
        "description": "x  y",
    },
    "1": {"title": "Industrial & Scientific />", "brand": "", "categories": "", "description": "z"},
    "2": {"title": "Plain..", "brand": "P", "categories": "A & B", "description": ""},
}
HISTORIES = {"10": [2, 0], "2": [1, 1, 0]}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = ROOT / "scripts" / "prepare_amazon_scientific.py"
    spec = importlib.util.spec_from_file_location("prepare_amazon_scientific", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def served(name: str, items: dict[str, Any] = ITEMS) -> io.BytesIO:
    return io.BytesIO(json.dumps(items if name.endswith("item.json") else HISTORIES).encode())


def test_texts_are_cleaned_ids_are_new_and_order_is_kept(script: ModuleType, tmp_path: Path) -> None:
    files = script.convert(ITEMS, HISTORIES)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    items = ItemTable.read(tmp_path / "items.jsonl")
    rows = {items.title(item): items.row(item) for item in items.item_ids}
    assert set(rows) == {"Tin & Co Widget", "", "Plain."}
    assert rows["Tin & Co Widget"]["categories"] == ["A & B", "Widgets"]
    assert rows["Tin & Co Widget"]["description"] == "x y"
    assert items.item_ids == ["s0000", "s0001", "s0002"]
    log = InteractionLog.read(tmp_path / "interactions.csv", items=items)
    assert log.user_ids == ["2", "10"]
    assert [items.title(item) for item in log.history("10")] == ["Plain.", "Tin & Co Widget"]
    assert files == script.convert(dict(reversed(ITEMS.items())), dict(reversed(HISTORIES.items())))


def test_the_real_files_are_those_the_script_expects(script: ModuleType, shared_data: Path) -> None:
    import hashlib

    for name, digest in script.SHA256.items():
        content = gzip.decompress((shared_data / "amazon_scientific" / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == digest


def test_other_bytes_are_refused_and_nothing_is_written(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare", str(tmp_path / "out")])
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: served(url))
    assert script.main() == 1
    received = "items.jsonl: 3 lines, interactions.csv: 6 lines; changed: items.jsonl, interactions.csv"
    assert received in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_passes_the_checks_is_written(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import hashlib

    files = script.convert(ITEMS, HISTORIES)
    monkeypatch.setattr(
        script, "SHA256", {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    )
    monkeypatch.setattr(sys, "argv", ["prepare", str(tmp_path / "out")])
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: served(url))
    assert script.main() == 0
    assert gzip.decompress((tmp_path / "out" / "items.jsonl.gz").read_bytes()) == files["items.jsonl"]


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
