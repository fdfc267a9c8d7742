"""Evaluation through the real launcher: two processes give what one gives, byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genrec.evaluation import read_run

ROOT = Path(__file__).resolve().parents[2]


def rows(folder: Path) -> list[dict[str, Any]]:
    report = json.loads((folder / "evaluation" / "report.json").read_text())
    return [{key: value for key, value in row.items() if key != "seconds"} for row in report["rankers"]]


@pytest.mark.slow
def test_two_processes_measure_what_one_does(quickstart: Any, small: list[str], tmp_path: Path) -> None:
    two = tmp_path / "two"
    shutil.copytree(quickstart.folder, two, ignore=shutil.ignore_patterns("evaluation"))
    launcher = ["-m", "accelerate.commands.accelerate_cli", "launch"]
    target = ["--config_file", "recipes/accelerate/cpu2.yaml", "scripts/evaluate_recipe.py"]
    done = subprocess.run(
        [sys.executable, *launcher, *target, "quickstart", f"output_dir={two}", *small],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "world size: 2" in done.stdout
    assert rows(two) == rows(quickstart.folder)
    runs = sorted((quickstart.folder / "evaluation" / "runs").iterdir())
    assert [run.name for run in runs] == [
        "content-knn",
        "genrec",
        "item-knn",
        "markov-knn",
        "oracle",
        "popularity",
        "random",
    ]
    for run in runs:
        other = two / "evaluation" / "runs" / run.name
        for name in ("run.trec.gz", "qrels.trec.gz", "cases.tsv.gz"):
            assert (other / name).read_bytes() == (run / name).read_bytes(), (run.name, name)
        metrics = next(row for row in rows(two) if row["name"] == run.name)["metrics"]
        assert read_run(other).result(bootstrap=0, seed=0).metrics == metrics


@pytest.mark.slow
@pytest.mark.parametrize("target", [["scripts/align.py"], ["-m", "genrec.cli.main", "align"]])
def test_an_error_that_all_processes_meet_is_told_once(tmp_path: Path, target: list[str]) -> None:
    launcher = ["-m", "accelerate.commands.accelerate_cli", "launch"]
    options = ["--config_file", "recipes/accelerate/cpu2.yaml", "--main_process_port", "0"]
    done = subprocess.run(
        [
            sys.executable,
            *launcher,
            *options,
            *target,
            "quickstart",
            f"output_dir={tmp_path}",
            "align.epoch=1",
        ],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert told.count("did you mean align.epochs?") == 1, told


SHARDED = """
import json, sys
import numpy as np
from genrec.baselines import RandomRanker
from genrec.data import Cases
from genrec.evaluation import RetrievalEvaluator, asking
from genrec.training import process_state

class Counting(RandomRanker):
    asked = 0

    def rank(self, histories, k):
        self.asked += len(histories)
        return super().rank(histories, k)

asking.CASES_AT_ONCE = 16
items = [f"i{n}" for n in range(50)]
drawn = [np.random.default_rng(n).integers(50, size=2 + n % 7) for n in range(300)]
histories = [[items[i] for i in row[:-1]] for row in drawn]
cases = Cases([f"u{n}" for n in range(300)], histories, [items[row[-1]] for row in drawn])
state, ranker = process_state(), Counting(items, seed=3)
result = RetrievalEvaluator(cases, item_ids=items, mask_history=True, bootstrap=50).evaluate(ranker, state)
told = {k: v for k, v in result.to_dict().items() if k != "seconds"}
told["lists"] = result.run.lists.tolist()
with open(f"{sys.argv[1]}/{state.num_processes}-{state.process_index}.json", "w") as stream:
    json.dump([ranker.asked, told], stream)
"""


@pytest.mark.slow
def test_each_process_asks_for_a_part_and_all_get_the_whole(tmp_path: Path) -> None:
    script = tmp_path / "sharded.py"
    script.write_text(SHARDED)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "ACCELERATE_USE_CPU": "true",
    }
    launcher = ["-m", "accelerate.commands.accelerate_cli", "launch"]
    config = ["--config_file", str(ROOT / "recipes/accelerate/cpu2.yaml")]
    for command in ([], [*launcher, *config]):
        done = subprocess.run(
            [sys.executable, *command, str(script), str(tmp_path)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    (all_asked, alone), *parts = [
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1")
    ]
    assert all_asked == 300
    assert sum(asked for asked, _ in parts) == 300
    assert min(asked for asked, _ in parts) > 100
    assert [told for _, told in parts] == [alone, alone]
