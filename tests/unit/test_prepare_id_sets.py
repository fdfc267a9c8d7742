"""The script that makes many ID sets: what is there is kept, unless it is of other inputs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from genrec import SyntheticWorld
from genrec.embeddings import LsaItemEncoder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with encoders that need no weights: another name is another seed."""
    spec = importlib.util.spec_from_file_location("prepare_id_sets", ROOT / "scripts" / "prepare_id_sets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(
        module, "TextItemEncoder", lambda name, fields: LsaItemEncoder(fields, dim=8, seed=len(name))
    )
    return module


def test_sets_and_vectors_of_other_inputs_are_made_anew(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        world = SyntheticWorld.generate(seed=seed, num_items=50, num_users=60)
        world.items.write(tmp_path / f"items{seed}.jsonl")
        world.interactions.write(tmp_path / f"log{seed}.csv")
    (tmp_path / "small.yaml").write_text(
        "residual_kmeans: {num_codebooks: 2, codebook_size: 16, iterations: 20}\ncollisions: matching"
    )
    (tmp_path / "clusters.yaml").write_text(
        "index_method: {method: collaborative, depth: 2, branching: 4, leaf_size: 8}"
    )

    def made(seed: int, encoder: str) -> list[str]:
        """Which sets the script made, by what it printed."""
        data = ["--items", f"{tmp_path}/items{seed}.jsonl", "--interactions", f"{tmp_path}/log{seed}.csv"]
        chosen = ["--definitions", "small.yaml", "clusters.yaml", "--encoder", encoder, "--output", "sets"]
        monkeypatch.setattr(sys, "argv", ["prepare_id_sets.py", *data, *chosen])
        script.main()
        return [line.split()[0] for line in capsys.readouterr().out.splitlines()]

    monkeypatch.chdir(tmp_path)
    both = ["small.yaml-s0", "clusters.yaml-s0"]
    assert made(0, "one") == both
    first = {path.name: path.read_bytes() for path in (tmp_path / "sets").glob("*.gz")}
    assert made(0, "one") == []
    assert made(0, "another") == ["small.yaml-s0"]  # the clusters have seen no vector
    assert made(1, "one") == both
    assert made(0, "one") == both
    assert {path.name: path.read_bytes() for path in (tmp_path / "sets").glob("*.gz")} == first
    assert len(list((tmp_path / "sets" / "vectors").iterdir())) == 3  # two tables, and one by another encoder
    assert set(json.loads((tmp_path / "sets" / "inputs.json").read_text())) == set(both)
