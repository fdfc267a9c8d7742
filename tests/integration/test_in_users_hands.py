"""The quickstart's bundle in users' hands: published, loaded elsewhere, scored, decoded without genrec."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from safetensors import safe_open

from genrec import GenerativeRecommender

ROOT = Path(__file__).resolve().parents[1]


def load(name: str) -> ModuleType:
    """A module that lies in `tests/`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def histories(quickstart: Any) -> dict[str, list[str]]:
    """What each user of the quickstart did, in the order of the log."""
    found: dict[str, list[str]] = {}
    with gzip.open(quickstart.folder / "data/interactions.csv.gz", "rt", newline="") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["user_id"], []).append(row["item_id"])
    return found


@pytest.mark.slow
def test_published_loaded_elsewhere_scored_and_decoded_without_genrec(
    quickstart: Any, histories: dict[str, list[str]], tmp_path: Path
) -> None:
    here = GenerativeRecommender.from_pretrained(quickstart.bundle)
    asked = dict(list(histories.items())[:6])
    expected = {user: here.recommend(history, 5) for user, history in asked.items()}

    stub, hub_client = load("stub_hub"), load("hub_client")
    with stub.StubHub().running() as hub:
        environment = hub_client.hub_environment(hub.url, tmp_path / "home", stub.WRITER)

        def genrec(*arguments: str) -> str:
            command = [sys.executable, "-m", "genrec.cli.main", *arguments]
            done = subprocess.run(
                command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        genrec("publish", str(quickstart.bundle), "me/quickstart", "--card", "new/card.md")
        assert "me/quickstart" not in hub.repos  # a look, in a folder that is made for it
        assert (tmp_path / "new" / "card.md").read_text(encoding="utf-8").startswith("---")
        shown = genrec("publish", str(quickstart.bundle), "me/quickstart", "--license", "mit")
        repo = hub.repos["me/quickstart"]
        assert repo.branches["main"] in shown
        assert (repo.private, len(repo.history)) == (True, 2)
        card = repo.files()["README.md"].decode()
        assert "license: mit" in card
        assert "| **this model** |" in card
        assert "did better than this model" in card or "oracle" in card
        assert str(quickstart.folder) not in card
        (tmp_path / "users.jsonl").write_text(
            "".join(json.dumps({"user_id": u, "history": h}) + "\n" for u, h in asked.items())
        )
        genrec("recommend", "me/quickstart", "--users", "users.jsonl", "--out", "recs.parquet", "-k", "5")
        genrec("export", "me/quickstart", "--out", "export", "--revision", repo.branches["main"])

    rows = pq.read_table(tmp_path / "recs.parquet").to_pylist()
    assert [row["user_id"] for row in rows] == list(asked)
    for row in rows:
        alone = expected[row["user_id"]]
        assert row["item_ids"] == [found.item_id for found in alone]
        assert row["scores"] == pytest.approx([found.score for found in alone], abs=1e-4)

    user, history = next(iter(asked.items()))
    done = subprocess.run(
        [sys.executable, "export/example.py", "export", *history],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    plain = [line.split("\t") for line in done.stdout.splitlines()][:5]
    assert [item for _, item, _ in plain] == [found.item_id for found in expected[user]]
    assert [float(score) for score, _, _ in plain] == pytest.approx(
        [f.score for f in expected[user]], abs=2e-3
    )
    assert [title for _, _, title in plain] == [found.title for found in expected[user]]


def texts_in(value: Any) -> Iterator[str]:
    """All texts in plain values, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from texts_in(key)
            yield from texts_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)


def lists_in(value: Any) -> Iterator[list[Any]]:
    """All lists in plain values."""
    if isinstance(value, dict):
        for one in value.values():
            yield from lists_in(one)
    elif isinstance(value, list):
        yield value
        for one in value:
            yield from lists_in(one)


def test_no_user_and_no_history_is_in_the_bundle(quickstart: Any, histories: dict[str, list[str]]) -> None:
    runs = {tuple(h[i : i + 4]) for h in histories.values() for i in range(len(h) - 3)}
    assert len(histories) == 400
    assert len(runs) > 400
    read = 0
    for path in sorted(p for p in quickstart.bundle.rglob("*") if p.is_file()):
        if path.suffix == ".json":
            value: Any = json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".yaml":
            value = yaml.safe_load(path.read_text(encoding="utf-8"))
        elif path.suffix == ".parquet":
            value = pq.read_table(path).to_pydict()
        else:
            assert path.suffix == ".safetensors", path  # numbers, under the names of weights
            with safe_open(path, framework="np") as weights:
                value = list(weights.keys())
        read += 1
        assert not histories.keys() & set(texts_in(value)), path
        for one in lists_in(value):
            names = [text if isinstance(text, str) else "" for text in one]
            same = {tuple(names[i : i + 4]) for i in range(len(names) - 3)}
            assert not runs & same or path.name in ("catalog.parquet", "items.parquet"), path
    assert read > 10
