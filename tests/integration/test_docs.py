"""What the pages of `docs/` show is what runs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from genrec import Catalog

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
WITH_CODE = [name for name in PAGES if "```python" in (ROOT / name).read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", WITH_CODE)
def test_the_snippets_of_a_page_run_one_after_the_other(
    page: Callable[[str], Any], shop_folder: Path, name: str
) -> None:
    page(name).run()


def test_ids_of_ones_own_go_through_the_commands_of_their_page(
    page: Callable[[str], Any], shop_folder: Path
) -> None:
    own_ids = page("docs/how-to/own-ids.md")
    catalog = own_ids.run()["catalog"]
    inspected, _ = own_ids.run_commands()
    assert "| position | codes | used | perplexity | Gini |" in inspected
    assert (shop_folder / "outputs/own-ids/inspection/report.html").is_file()
    built = Catalog.load(shop_folder / "outputs/own-ids/ids/catalog")
    assert {item: built.tokens(item) for item in built.item_ids} == {
        item: catalog.tokens(item) for item in catalog.item_ids
    }


@pytest.mark.parametrize("name", PAGES)
def test_commands_exist_and_links_lead_somewhere(page: Callable[[str], Any], name: str) -> None:
    page(name).check_commands()
    page(name).check_links()


def test_the_navigation_leads_to_pages() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    def pages(part: Any) -> list[str]:
        if isinstance(part, str):
            return [part]
        return [
            name for value in (part.values() if isinstance(part, dict) else part) for name in pages(value)
        ]

    shown = pages(yaml.safe_load(text)["nav"])
    assert {f"docs/{name}" for name in shown} <= set(PAGES)
    assert len(set(shown)) == len(shown) > 25


def test_every_name_of_the_reference_is_there_and_documented() -> None:
    import importlib

    for name in PAGES:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if line.startswith("::: "):
                module, _, attribute = line[4:].rpartition(".")
                assert getattr(importlib.import_module(module), attribute).__doc__, line


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = json.loads((ROOT / "docs/notebooks/first-steps.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {"__name__": "notebook"}
    smaller = {"STEPS = 200": "STEPS = 4", "num_items=300, num_users=600": "num_items=120, num_users=60"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            source = "".join(cell["source"])
            for old, new in smaller.items():
                source = source.replace(old, new)
            exec(compile(source, cell["id"], "exec"), known)
    assert len(known["session"].messages) == 8


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs-material and mkdocstrings are not installed (make docs)")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ChatSession" in (tmp_path / "site" / "reference" / "recommender" / "index.html").read_text()
