"""The benchmark of evaluation runs, and both searches it compares find the same lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_quick_benchmark_compares_equal_searches() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/benchmark_evaluation.py", "--quick", "--json", "--threads", "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["identical"] is True
    assert found["ratio"] > 0
    assert found["interval_seconds"] > 0
    assert found["users"] == 400
