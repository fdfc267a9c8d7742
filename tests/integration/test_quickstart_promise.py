"""What the README promises of the quickstart, held on a seed of its own at full size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_the_quickstart_comes_near_the_best_list_there_is(genrec: Any, tmp_path: Path) -> None:
    genrec("quickstart", f"output_dir={tmp_path / 'out'}", "seed=1")
    report = json.loads((tmp_path / "out" / "evaluation" / "report.json").read_text())
    recall = {row["name"]: row["metrics"]["recall@10"] for row in report["rankers"]}
    assert recall["genrec"] >= 0.6 * recall["oracle"]
    assert recall["genrec"] > recall["markov-knn"]
    assert recall["random"] < recall["popularity"] < recall["item-knn"] < recall["oracle"]
