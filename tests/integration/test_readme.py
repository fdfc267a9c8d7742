"""What the README shows is what runs."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genrec import GenerativeRecommender
from genrec.recipe import shipped_recipes


def test_the_python_snippets_run_as_they_stand(
    page: Callable[[str], Any], shop_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = page("README.md").run()
    shown = capsys.readouterr().out.splitlines()
    for line in shown[:5]:
        assert re.match(r"w\d+ -\d+\.\d\d <a_\d+> <b_\d+> <c_\d+> \w", line)
    said = [line for line in shown if line.startswith("> ")]
    assert said == ["> something for the nails under 20 dollars", "> cheaper", "> not that brand"]
    session = known["session"]
    assert set(session.filters.to_dict()) == {"max_price", "categories", "exclude_brands"}
    assert session.filters.max_price < 20
    bundle = shop_folder / "outputs" / "mine" / "bundle"
    found = GenerativeRecommender.from_pretrained(bundle).recommend(known["items"].item_ids[:2], k=3)
    assert len(found) == 3


def test_the_snippets_are_as_short_as_promised(page: Callable[[str], Any]) -> None:
    first, own_data = page("README.md").blocks("python")[:2]
    assert len([line for line in first.splitlines() if line.strip()]) <= 12
    statements = ast.parse(own_data).body
    assert sum(not isinstance(one, ast.ImportFrom) for one in statements) <= 10


def test_every_command_shown_exists_and_every_link_leads_somewhere(page: Callable[[str], Any]) -> None:
    page("README.md").check_commands()
    page("README.md").check_links()


def test_every_shipped_recipe_is_in_the_table(page: Callable[[str], Any]) -> None:
    for name in shipped_recipes():
        assert f"[`{name}`](recipes/{name})" in page("README.md").text
