"""Two processes under every launch file: one process's loss curve, stopped by a signal and taken up again."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4  # of a logged loss, relative; measured: 2e-7
LONG = 420  # seconds; the first run under DeepSpeed compiles an operator
TRIES = 3  # on a busy machine a signal may come when the run is over

# every optimiser step is logged, and nothing is drawn at random in a process of its own
PLAIN = ("align.residual_dropout=0", "align.logging_steps=1", "align.max_steps=20", "align.evaluate_every=5")


@dataclass(frozen=True)
class Launch:
    """A launch file, what the CPU needs beside it, and whether parameters are whole in every process."""

    file: str
    environment: dict[str, str]
    type: str
    whole: bool

    @property
    def overrides(self) -> tuple[str, ...]:
        return () if self.whole else ("align.ema_decay=0",)


DDP = Launch("ddp", {"ACCELERATE_USE_CPU": "true"}, "MULTI_CPU", True)
ZERO2 = Launch("zero2", {"DS_ACCELERATOR": "cpu"}, "DEEPSPEED", True)
ZERO3 = Launch("zero3", {"DS_ACCELERATOR": "cpu"}, "DEEPSPEED", False)
FSDP2 = Launch("fsdp2", {"ACCELERATE_USE_CPU": "true"}, "FSDP", False)
LAUNCHES = [DDP, ZERO2, ZERO3, FSDP2]


def start(
    launch: Launch, folder: Path, *overrides: str, place: Sequence[str] = ("--main_process_port", "0")
) -> subprocess.Popen[str]:
    if launch.type == "DEEPSPEED":
        if importlib.util.find_spec("deepspeed") is None:
            pytest.skip("deepspeed is not installed")
        if shutil.which("g++") is None:
            pytest.skip("DeepSpeed compiles an operator on the CPU, and there is no g++")
        forget_dead_compilers()
    options = ["--num_processes", "2", "--mixed_precision", "no", *place]
    file = f"recipes/accelerate/{launch.file}.yaml"
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", file]
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ["PATH"]]
    )  # DeepSpeed looks for ninja
    return subprocess.Popen(
        [*command, *options, "scripts/align.py", "quickstart", f"output_dir={folder}", *overrides],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PATH": path, **launch.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def forget_dead_compilers() -> None:
    """A run killed while it compiled leaves a lock behind, on which every later run waits for ever."""
    built = Path(os.environ.get("TORCH_EXTENSIONS_DIR", Path.home() / ".cache" / "torch_extensions"))
    for lock in built.glob("**/lock"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - lock.stat().st_mtime > LONG:
                lock.unlink()


def finish(process: subprocess.Popen[str]) -> str:
    try:
        output, _ = process.communicate(timeout=LONG)
    except subprocess.TimeoutExpired:
        process.terminate()  # the launcher takes its processes with it
        raise
    return output


def prepared(quickstart: Any, folder: Path) -> Path:
    """An output folder whose IDs are there already."""
    for stage in ("ids", "embeddings", "data"):
        shutil.copytree(quickstart.folder / stage, folder / stage)
    return folder


def curve(folder: Path, name: str) -> dict[int, float]:
    rows = json.loads((folder / "align" / "loss_curve.json").read_text())
    return {row["step"]: row[name] for row in rows if name in row}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "bundle" / "model" / "model.safetensors")


@pytest.fixture(scope="session")
def alone(quickstart: Any, genrec: Any, small: list[str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same training in one process, a folder for each set of overrides."""
    done: dict[tuple[str, ...], Path] = {}

    def run(*overrides: str) -> Path:
        if overrides not in done:
            done[overrides] = prepared(quickstart, tmp_path_factory.mktemp("alone") / "out")
            genrec("align", "quickstart", f"output_dir={done[overrides]}", *small, *PLAIN, *overrides)
        return done[overrides]

    return run


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pretrained model with an output matrix of its own, so that new rows come in two places."""
    from genrec.vocabulary import build_small_model, train_text_tokenizer

    folder = tmp_path_factory.mktemp("base")
    text_tokenizer = train_text_tokenizer(["a little text to learn from"], vocab_size=280)
    model = build_small_model(
        text_tokenizer,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        intermediate_size=48,
        max_positions=1024,
        initializer_range=0.2,
        tie_word_embeddings=False,
    )
    model.save_pretrained(folder)
    text_tokenizer.save_pretrained(folder)
    return folder


def assert_same_training(found: Path, expected: Path) -> None:
    losses, wanted = curve(found, "loss"), curve(expected, "loss")
    assert list(losses) == list(wanted) == list(range(1, 21))
    assert losses == pytest.approx(wanted, rel=TOLERANCE)
    metric = "validation_ndcg@10"
    assert curve(found, metric) == pytest.approx(curve(expected, metric), abs=1e-6)
    assert len(curve(found, metric)) == 4
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=2e-3, rtol=0, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("launch", LAUNCHES, ids=lambda launch: launch.file)
def test_two_processes_stopped_and_resumed_train_what_one_does(
    launch: Launch, quickstart: Any, small: list[str], alone: Any, tmp_path: Path
) -> None:
    settings = (*small, *PLAIN, *launch.overrides)
    for attempt in range(TRIES):
        folder = prepared(quickstart, tmp_path / f"out{attempt}")
        process = start(launch, folder, *settings)
        waited = time.monotonic() + LONG
        while process.poll() is None and not (folder / "align" / "checkpoint-5" / "complete").exists():
            assert time.monotonic() < waited, "no checkpoint after so long"
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)  # the launcher passes it on to both processes
        output = finish(process)
        if not (folder / "align" / "checkpoint-20" / "complete").exists():
            break
    assert process.returncode != 0, output
    assert output.count("error: training was stopped after step") == 1, output
    assert "run the same command again" in output
    assert not (folder / "bundle").exists()
    steps = {int(p.parent.name.removeprefix("checkpoint-")) for p in folder.glob("align/*/complete")}
    assert max(steps) < 20, "the signal came too late to stop anything"

    process = start(launch, folder, *settings)
    output = finish(process)
    assert process.returncode == 0, output
    assert f"world size 2, {launch.type}" in output
    assert f"resuming from {folder}/align/checkpoint-{max(steps)}" in output
    assert "trained in 2 process(es)" in output
    assert_same_training(folder, alone(*launch.overrides))


@pytest.mark.slow
def test_two_machines_train_what_one_process_does(
    quickstart: Any, small: list[str], alone: Any, tmp_path: Path
) -> None:
    folder = prepared(quickstart, tmp_path / "out")  # on a disk they share
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = ["--main_process_ip", "127.0.0.1", "--main_process_port", str(free.getsockname()[1])]
    launchers = [
        start(DDP, folder, *small, *PLAIN, place=["--num_machines", "2", "--machine_rank", rank, *meeting])
        for rank in ("0", "1")
    ]
    outputs = [finish(process) for process in launchers]
    assert [process.returncode for process in launchers] == [0, 0], "\n".join(outputs)
    assert "trained in 2 process(es)" in outputs[0]
    assert "trained in" not in outputs[1]  # told once
    assert_same_training(folder, alone())


@pytest.mark.slow
@pytest.mark.parametrize("launch", LAUNCHES, ids=lambda launch: launch.file)
def test_adapters_and_new_rows_train_in_two_processes_as_in_one(
    launch: Launch, quickstart: Any, small: list[str], alone: Any, base: Path, tmp_path: Path
) -> None:
    folder = prepared(quickstart, tmp_path / "out")
    lora = (f"model.base={base}", "align.lora_r=4", "align.lora_dropout=0", "align.ema_decay=0")
    process = start(launch, folder, *small, *PLAIN, *lora)
    output = finish(process)
    assert process.returncode == 0, output
    one = alone(*lora)
    assert curve(folder, "loss") == pytest.approx(curve(one, "loss"), rel=TOLERANCE)
    metric = "validation_ndcg@10"
    assert curve(folder, metric) == pytest.approx(curve(one, metric), abs=1e-6)
    ours, theirs = (load_file(next(f.glob("align/best/adapter_model.safetensors"))) for f in (folder, one))
    assert ours.keys() == theirs.keys()
    assert any("lora_" in name for name in ours)
    assert sum("trainable_tokens_delta" in name for name in ours) == 2
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=2e-3, rtol=0, msg=name)
    saved = load_file(max(folder.glob("align/checkpoint-*")) / "adapter_model.safetensors")
    assert saved.keys() == ours.keys(), "a checkpoint holds adapters and new rows, nothing else"
