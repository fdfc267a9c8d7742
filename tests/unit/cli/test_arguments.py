"""A history on the command line keeps its order, however it is written."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from genrec.cli.arguments import History, HistoryCommand


def run(*args: str) -> str:
    app = typer.Typer()

    @app.command(cls=HistoryCommand)
    def show(bundle: str, history: History = None, k: int = 1) -> None:
        typer.echo(f"{bundle} {k} {' '.join(history or [])}")

    done = CliRunner().invoke(app, list(args))
    return done.output if done.exit_code == 0 else f"failed: {done.output}"


@pytest.mark.parametrize(
    "args",
    [
        ("x", "--history", "a", "b", "c", "d"),
        ("x", "--history", "a", "b", "--history", "c", "d"),
        ("x", "--history", "a", "--history", "b", "--history", "c", "--history", "d"),
        ("x", "--history=a", "--history", "b", "c", "--history=d"),
        ("--history", "a", "b", "--k", "1", "x", "--history", "c", "d"),
        ("--history", "a", "b", "c", "d", "--", "x"),
    ],
)
def test_ids_keep_their_order(args: tuple[str, ...]) -> None:
    assert run(*args).split() == ["x", "1", "a", "b", "c", "d"]


def test_a_history_without_an_id_is_told() -> None:
    for args in (("x", "--history"), ("x", "--history", "--k", "3"), ("x", "a", "b")):
        assert run(*args).startswith("failed")
    assert run("x").split() == ["x", "1"]
