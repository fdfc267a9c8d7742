"""Batch scoring as users start it: killed and started again, and by several processes."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from genrec import GenerativeRecommender

ROOT = Path(__file__).resolve().parents[2]
PARTS = 60


@pytest.fixture(scope="module")
def users(quickstart: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of users; their histories are runs of the catalog's items."""
    with gzip.open(quickstart.folder / "data/items.jsonl.gz", "rt", encoding="utf-8") as stream:
        ids = sorted(json.loads(line)["item_id"] for line in stream)
    path = tmp_path_factory.mktemp("batch") / "users.jsonl"
    with path.open("w") as stream:
        for n in range(PARTS * 16):
            history = ids[n % 100 : n % 100 + n % 9]
            stream.write(json.dumps({"user_id": f"u{n}", "history": history}) + "\n")
    return path


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_what_two_processes_make(
    quickstart: Any, genrec: Any, users: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    job = ["recommend", str(quickstart.bundle), "--users", str(users), "-k", "5", "--part-size", "16"]
    genrec_here = [sys.executable, "-m", "genrec.cli.main"]
    config = ROOT / "recipes/accelerate/cpu2.yaml"
    launcher = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(config),
        "-m",
        "genrec.cli.main",
    ]
    shared = tmp_path / "shared.parquet"
    done = subprocess.run(
        [*launcher, *job, "--out", str(shared)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    halves = [line for line in done.stdout.splitlines() if " made" in line]
    assert len(halves) == 2, done.stdout  # two processes, half of the users each
    assert sum(f"{PARTS * 8:,}" in line for line in halves) == 2

    out = tmp_path / "recs.parquet"
    killed = subprocess.Popen(
        [*genrec_here, *job, "--out", str(out)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    parts = out.with_name("recs.parquet.parts")
    while killed.poll() is None and len(list(parts.glob("part-*.parquet"))) < 5:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not out.exists()
    made = len(list(parts.glob("part-*.parquet")))
    assert 5 <= made < PARTS
    again = subprocess.run(
        [*genrec_here, *job, "--out", str(out)], env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"going on: {made} of {PARTS} parts are done" in again.stderr
    assert f"{(PARTS - made) * 16:,} made by this process now" in again.stdout
    assert out.read_bytes() == shared.read_bytes()
    assert not parts.exists()

    rows = pq.read_table(out).to_pylist()
    recommender = GenerativeRecommender.from_pretrained(quickstart.bundle)
    asked = [json.loads(line) for line in users.read_text().splitlines()]
    assert [row["user_id"] for row in rows] == [user["user_id"] for user in asked]
    for place in (0, 1, 8, 300, 700):
        alone = recommender.recommend(asked[place]["history"], 5)
        assert rows[place]["item_ids"] == [found.item_id for found in alone]
        assert rows[place]["scores"] == pytest.approx([found.score for found in alone], abs=1e-4)


def test_a_batch_needs_both_files_and_no_history(quickstart: Any, genrec: Any) -> None:
    failed = genrec("recommend", str(quickstart.bundle), "--users", "users.jsonl", status=1)
    assert "pass --users FILE --out FILE" in failed.stderr
