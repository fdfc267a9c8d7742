"""The benchmark of decoding on tiny shapes: both sides agree, and the command writes its table and JSON."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark's modules."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark_decoding_searches
    import benchmark_decoding_shapes

    return benchmark_decoding_searches, benchmark_decoding_shapes


def test_both_sides_give_the_same_lists_and_a_difference_would_be_told(modules: Any) -> None:
    searches, shapes = modules
    from genrec.decoding import ConstrainedBeamSearch

    shape = shapes.DecoderShape("tiny", 2, 32, 2, 2, 64, 500)
    model, trie = shape.model(), shapes.random_trie(2000)
    vocabulary = shapes.vocabulary_of(model)
    search = ConstrainedBeamSearch(model, trie, vocabulary, num_beams=5)
    ids, mask = shapes.prompts(3, 12, 500)
    pair = searches.paired(search, ids, mask, vocabulary, 1)
    assert pair.identical is True
    assert pair.share == 1.0
    assert pair.ratio > 0
    found = search.search(ids, mask, 5)
    tokens, scores = searches.generate(model, trie, vocabulary, ids, mask, 5)
    assert searches.agreement(found, tokens, scores, vocabulary) == (True, 1.0)
    worse = dataclasses.replace(found, rows=found.rows.flip(1), codes=found.codes.flip(1))
    assert searches.agreement(worse, tokens, scores, vocabulary) == (False, 1.0)
    level = ConstrainedBeamSearch(model, trie, vocabulary, num_beams=5, normalize="level")
    assert searches.paired(level, ids, mask, vocabulary, 1).identical is None
    with torch.no_grad():
        assert searches.unconstrained(search, ids, mask).shape == (3, 5)


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "benchmark_decoding.py"), "--quick", "--only", "trie"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "out.json")], check=True, capture_output=True, text=True
    )
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    rows = written["results"]
    assert written["facts"]["quick"] is True
    assert all(row.keys() >= {"name", "value", "unit", "goal", "met", "identical"} for row in rows)
    assert all(row["value"] is not None for row in rows)
    assert all(row["name"] in done.stdout for row in rows)
    assert "| what | value | goal | met |" in done.stdout
