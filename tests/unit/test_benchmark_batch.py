"""The benchmark of batch scoring runs, and both ways it times give the same lists."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "benchmark_batch.py"


def test_it_measures_and_both_ways_agree(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("benchmark_batch", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options = argparse.Namespace(users=12, alone=3, items=40, hidden_size=16, seed=0)
    rows = module.measure(*module.world(options), options, tmp_path)
    assert [set(row) for row in rows] == [{"name", "value", "unit", "goal", "met", "identical"}] * 5
    assert rows[2]["identical"] is True
    assert all(row["value"] > 0 for row in rows[:4])
