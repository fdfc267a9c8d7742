"""Slash commands of the chat that need no bundle."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from genrec.cli.chat import command


@pytest.mark.parametrize(("said", "asked"), [("2", "b"), ("3", "3"), ("0", "0"), ("b", "b"), ("²", "²")])
def test_explain_takes_a_place_of_the_list_or_an_id(said: str, asked: str) -> None:
    session: Any = SimpleNamespace(
        state=SimpleNamespace(shown=["a", "b"]),
        recommender=SimpleNamespace(items=SimpleNamespace(title=str), explain=lambda item: f"about {item}"),
    )
    assert command(session, f"/explain {said}") == f"about {asked}"
