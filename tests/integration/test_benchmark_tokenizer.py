"""The benchmark of the item tokenizer runs, and its rows say what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_part_runs_and_writes_its_rows(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="the extra `eval` is not installed")
    command = [sys.executable, "scripts/benchmark_tokenizer.py", "--json", str(tmp_path / "rows.json")]
    sizes = ["--only", "scale", "catalog", "--rows", "3000", "--iterations", "2", "--ids", "5000"]
    done = subprocess.run([*command, *sizes], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    assert rows["unique after matching"]["value"] == 1
    assert rows["trie opened is the trie saved"]["value"] == 1
    assert 0 < rows["relative error, genrec"]["value"] < 1
    assert all({"name", "value", "unit", "goal", "met"} == set(row) for row in rows.values())
    assert all(np.isfinite(row["value"]) for row in rows.values())
