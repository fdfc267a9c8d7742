"""A quickstart small enough for tests, run once through the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SMALL = (
    "data.num_items=120",
    "data.num_users=400",
    "embeddings.dim=16",
    "model.hidden_size=32",
    "model.intermediate_size=48",
    "model.num_heads=2",
    "model.text_vocab_size=300",
    "align.max_steps=24",
    "align.evaluate_every=8",
    "align.batch_size=32",
    "align.learning_rate=5e-3",
    "align.warmup_steps=0",
    "align.validation_users=100",
    "align.threads=1",
    "evaluate.bootstrap=50",
)

Genrec = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    """This environment, with the console scripts of the running Python in front."""
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]]), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def genrec() -> Genrec:
    """Runs the command line in a process of its own and holds it to an exit status."""

    def run(*arguments: str, status: int = 0, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["genrec", *arguments], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Overrides that scale the quickstart down to seconds."""
    return list(SMALL)


@dataclass(frozen=True)
class Quickstart:
    """What the small quickstart left: its folder, and what it printed."""

    folder: Path
    output: str

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory, genrec: Genrec) -> Quickstart:
    """The small quickstart, run once a session."""
    folder = tmp_path_factory.mktemp("quickstart") / "out"
    return Quickstart(folder, genrec("quickstart", f"output_dir={folder}", *SMALL).stdout)
