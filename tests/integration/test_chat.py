"""A conversation with the quickstart's bundle, in Python and on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from genrec import ChatSession, GenerativeRecommender, GenRecError
from genrec.cli.main import app
from genrec.recommender.chat_reply import displayed


def test_two_turns_with_a_filter_give_only_items_that_fulfil_it(quickstart: Any) -> None:
    recommender = GenerativeRecommender.from_pretrained(quickstart.bundle)
    session = ChatSession(recommender, history=recommender.items.item_ids[:3], k=5)
    first = session.say("something for the nails, please")
    assert first.recommendations
    second = session.say("under 20 dollars, and not that brand")
    brand = recommender.items.row(first.recommendations[0].item_id)["brand"]
    assert session.filters.to_dict() == {
        "max_price": 20.0,
        "exclude_brands": [brand],
        "categories": ["Nails"],
    }
    assert second.recommendations
    for named in second.items:
        row = recommender.items.row(named.recommendation.item_id)
        assert row["price"] <= 20
        assert row["brand"] != brand
        assert "Nails" in row["categories"]
        assert second.text[named.start : named.end] == displayed(row["title"])
        quotes = {reason.column: reason.value for reason in named.reasons}
        assert float(quotes["price"]) == row["price"]
        assert quotes["categories"] in row["categories"]
        assert all(reason.text in second.text for reason in named.reasons)


def chat(bundle: Path, lines: list[str]) -> subprocess.CompletedProcess[str]:
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]])}
    return subprocess.run(
        ["genrec", "chat", str(bundle)],
        input="\n".join(lines) + "\n",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_command_reads_a_pipe(quickstart: Any, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    lines = [
        "nail polish",
        "/filters max_price=20 exclude_brands=Velora,Quillmoss",
        "/filters",
        "cheaper",
        "/undo",
        "/explain 1",
        "/likes",
        "",
        "/nonsense",
        "/filters max_prise=3",
        f"/save {path}",
        "/quit",
        "never read",
    ]
    done = chat(quickstart.bundle, lines)
    assert "[w" in done.stdout
    assert "- price at most 20" in done.stdout
    assert "taken back" in done.stdout
    assert "item(s);" in done.stdout
    assert "no such command" in done.stderr
    assert "did you mean max_price" in done.stderr
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["state"]["filters"]["exclude_brands"] == ["Velora", "Quillmoss"]
    options = ["chat", str(quickstart.bundle), "--load", str(path), "--json"]
    again = CliRunner().invoke(app, options, input="what do you have\n/bad\n", catch_exceptions=False)
    reply, error = map(json.loads, again.stdout.splitlines())
    assert reply["filters"]["max_price"] == 20
    assert reply["items"]
    assert "no such command" in error["error"]


def test_the_command_takes_a_history(quickstart: Any, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    options = ["chat", str(quickstart.bundle), "--history", "w0003", "w0005", "w0007"]
    done = CliRunner().invoke(app, options, input=f"/history\n/save {path}\n", catch_exceptions=False)
    assert all(item in done.stdout for item in ("w0003", "w0005", "w0007"))
    with pytest.raises(GenRecError, match="brings its own history"):
        CliRunner().invoke(app, [*options, "--load", str(path)], catch_exceptions=False)


def test_the_command_recommends_by_query_and_filters(quickstart: Any) -> None:
    asked = [
        "recommend",
        str(quickstart.bundle),
        "--query",
        "nail polish",
        "--filters",
        "max_price=20",
        "--json",
    ]
    found = json.loads(CliRunner().invoke(app, asked, catch_exceptions=False).stdout)
    items = GenerativeRecommender.from_pretrained(quickstart.bundle).items
    assert found
    assert {row["source"] for row in found} == {"text"}
    assert all(items.row(row["item_id"])["price"] <= 20 for row in found)
