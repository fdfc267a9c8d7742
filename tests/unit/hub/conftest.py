"""A stub hub, a process that talks to it, and small bundles to push."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
IDS = [f"i{row}" for row in range(12)]
REPORT = {
    "facts": {"recipe": "quickstart", "seed": 0, "hardware": "2 x86 cores, 24 GiB", "date": "2026-11-26"},
    "history_masked": False,
    "masking": "history masked: no",
    "rankers": [
        {
            "name": name,
            "cases": 300,
            "metrics": {"recall@10": value, "ndcg@10": value / 2},
            "intervals_95": {
                "recall@10": [value - 0.01, value + 0.01],
                "ndcg@10": [value / 2 - 0.01, value / 2 + 0.01],
            },
        }
        for name, value in (("genrec", 0.4), ("item-knn", 0.22), ("oracle", 0.53))
    ],
}


def load(name: str) -> ModuleType:
    """A module that lies in `tests/`."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def hub() -> Iterator[Any]:
    """The stub hub; every test uses repositories of its own."""
    with load("stub_hub").StubHub().running() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults_left(hub: Any) -> Iterator[None]:
    """No test meets what another one made to fail."""
    yield
    hub.faults.clear()


@pytest.fixture(scope="session")
def client(hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A process that may write to it."""
    running = load("hub_client").HubClient(hub.url, tmp_path_factory.mktemp("home"), load("stub_hub").WRITER)
    yield running
    running.close()


@pytest.fixture(scope="session")
def make_bundle(make_tiny: Callable[..., Any]) -> Callable[..., Path]:
    """Saves a bundle of a tiny model of 12 items, some of them left out where `items` says how many."""

    def make(folder: Path, *, seed: int = 0, items: int = 12, recipe: dict[str, Any] | None = None) -> Path:
        from genrec import Catalog, GenerativeRecommender, ItemTable
        from genrec.recommender.bundle import BundleSettings

        tiny = make_tiny(12, seed=seed)
        rows = [
            {"item_id": item, "title": f"Title of {item}", "brand": f"Maker {item}", "price": 1.5}
            for item in IDS[:items]
        ]
        given = {
            "name": "mine",
            "output_dir": "/home/somebody/outputs/mine",
            "data": {"items": "../secret/items.csv"},
        }
        GenerativeRecommender(
            tiny.model,
            tiny.text_tokenizer,
            tiny.vocabulary,
            Catalog(IDS[:items], np.asarray(tiny.codes)[:items], tiny.vocabulary.spec),
            ItemTable.from_rows(rows),
            settings=BundleSettings(max_history=4, num_beams=8, popular_items=("i7", "i3")),
            recipe=given if recipe is None else recipe,
            metrics={"validation": {"ndcg@10": 0.3, "step": 4}, "test": REPORT},
        ).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def bundle(make_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default bundle."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "bundle")
