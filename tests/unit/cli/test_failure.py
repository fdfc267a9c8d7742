"""An error under a launcher: told by the first process of a host, and by another one that meets it alone."""

from __future__ import annotations

import pytest

from genrec.cli import failure
from genrec.cli.failure import PATIENCE, failed
from genrec.errors import ConfigError, TrainingInterrupted

WRONG = ConfigError("this is wrong", remedy="mend it")


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    for name in ("LOCAL_RANK", "RANK"):
        monkeypatch.delenv(name, raising=False)
    found: list[float] = []
    monkeypatch.setattr(failure.time, "sleep", found.append)
    return found


@pytest.mark.parametrize("ranks", [{}, {"LOCAL_RANK": "0", "RANK": "0"}, {"LOCAL_RANK": "0", "RANK": "2"}])
def test_the_first_process_of_a_host_tells_at_once(
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ranks: dict[str, str],
) -> None:
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    assert failed(WRONG) == 1
    assert capsys.readouterr().err == "error: this is wrong\nwhat to do: mend it\n"
    assert not waited


def test_another_one_tells_only_what_it_lives_to_tell(
    waited: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert failed(WRONG) == 1
    assert waited == [PATIENCE]  # in which the launcher ends it, if the first one has failed too
    assert capsys.readouterr().err.startswith("error (process 1 of this host): this is wrong\n")


def test_of_a_stop_of_all_the_very_first_process_tells(
    waited: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = TrainingInterrupted("training was asked to stop")
    monkeypatch.setenv("RANK", "2")
    assert failed(stop) == 1
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("RANK", "0")
    assert failed(stop) == 1
    assert capsys.readouterr().err == "error: training was asked to stop\n"
    assert not waited
