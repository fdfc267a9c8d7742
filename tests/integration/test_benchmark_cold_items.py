"""The benchmark of cold items: what is held out, that it resumes, and that its rows agree with its table."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from genrec import SyntheticWorld

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.mark.slow
def test_cold_items_are_looked_for_after_they_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = SyntheticWorld.generate(seed=1, num_items=60, num_users=80)
    world.items.write(tmp_path / "items.jsonl")
    world.interactions.write(tmp_path / "interactions.csv")
    ids = world.items.canonical_ids
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32))
    (tmp_path / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    command = (
        "benchmark_cold_items.py --items items.jsonl --interactions interactions.csv --vectors vectors.npy "
        "--vector-ids ids.json --output out --definition rkmeans-3x64 --share .2 --seeds 0 --steps 3 "
        "--evaluate-every 2 --json rows.json --forms"
    ).split()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr("sys.argv", [*command, "pure codes"])
    runpy.run_path(str(SCRIPTS / "benchmark_cold_items.py"), run_name="__main__")
    first = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))}
    assert "'cold items': 12" in first
    assert rows["content-knn: cold"]["value"] > 0
    hybrid = rows["pure codes + content, weight from cold validation: cold"]
    assert hybrid["goal"] == rows["content-knn: cold"]["value"]
    assert hybrid["met"] == (hybrid["value"] >= hybrid["goal"])
    # made once: a second call reads what the first one wrote
    monkeypatch.setattr("torch.nn.Module.train", None)
    runpy.run_path(str(SCRIPTS / "benchmark_cold_items.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-3:] == first.splitlines()[-3:]
