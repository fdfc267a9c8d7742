"""The benchmark of training, scaled down, through its command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from genrec.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "data.num_items=60",
    "data.num_users=150",
    "embeddings.dim=8",
    "item_tokenizer.definition=rkmeans-3x64",
    "model.hidden_size=16",
    "model.intermediate_size=16",
    "model.num_heads=2",
    "model.text_vocab_size=300",
    "align.batch_size=16",
    "align.learning_rate=1e-2",
    "align.warmup_steps=0",
    "align.validation_users=50",
    "align.patience=1",
)


@pytest.mark.slow
def test_a_quick_benchmark_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    Recipe.load("quickstart", TINY)  # the overrides are those of a recipe
    command = [
        *(sys.executable, str(ROOT / "scripts" / "benchmark_training.py"), "--quick"),
        *("--json", str(tmp_path / "out.json"), "--every", "20", "--full-softmax"),
        *("--tokens", "256", "--times", "1", "--users", "20000", *TINY),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["facts"]["arguments"][0] == "--quick"
    rows = {row["name"]: row for row in written["results"]}
    assert len(rows) == len(written["results"])
    for row in rows.values():
        assert row.keys() == {"name", "value", "unit", "goal", "met", "identical", "note"}
        assert math.isfinite(row["value"])
        assert row["identical"] is not False, row
        assert f"| {row['name']} |" in done.stdout
    words = ("NDCG@10", "LoRA r 16", "a step of", "LC-Rec's six tasks", "data time", "memory of", "loss,")
    assert all(any(word in name for name in rows) for word in words)
    assert sum(row["identical"] is True for row in rows.values()) == 2
    share = next(row for name, row in rows.items() if "parameters / base" in name)
    assert share["met"]
    peak = next(row for name, row in rows.items() if name.startswith("loss,") and "genrec / trl" in name)
    assert peak["goal"] == "<= 1"
