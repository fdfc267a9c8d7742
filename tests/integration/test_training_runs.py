"""Training through the real launchers: two processes equal one, and a killed run equals one that was not."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from genrec import Recipe
from genrec.pipeline import load_inputs
from genrec.pipeline.base_model import text_base

ROOT = Path(__file__).resolve().parents[2]


def weights(bundle: Path) -> dict[str, torch.Tensor]:
    return load_file(bundle / "model" / "model.safetensors")


def prepared(quickstart: Any, folder: Path) -> Path:
    """An output folder whose IDs are there already."""
    for stage in ("ids", "embeddings", "data"):
        shutil.copytree(quickstart.folder / stage, folder / stage)
    return folder


def launch(recipe: str, *overrides: str) -> str:
    command = [
        "accelerate",
        "launch",
        "--config_file",
        "recipes/accelerate/cpu2.yaml",
        "scripts/align.py",
        recipe,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.accelerate_cli", *command[1:], *overrides],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["decoder", "encoder_decoder"])
def test_two_processes_train_what_one_does(
    quickstart: Any, genrec: Any, small: list[str], tmp_path: Path, architecture: str
) -> None:
    # dropout is drawn in each process
    plain = [*small, "align.residual_dropout=0", "model.dropout=0", "align.max_steps=16"]
    plain.append(f"model.architecture={architecture}")
    one, two = prepared(quickstart, tmp_path / "one"), prepared(quickstart, tmp_path / "two")
    genrec("align", "quickstart", f"output_dir={one}", *plain)
    output = launch("quickstart", f"output_dir={two}", *plain)
    assert "world size: 2" in output
    assert "trained in 2 process(es)" in output
    alone, together = weights(one / "bundle"), weights(two / "bundle")
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, atol=2e-3, rtol=0, msg=name)
    steps = [re.findall(r"step (\d+): validation", text) for text in (output,)]
    assert steps == [["8", "16"]]


@pytest.mark.slow
def test_two_processes_make_the_text_base_that_one_makes(
    quickstart: Any, genrec: Any, small: list[str], tmp_path: Path
) -> None:
    plain = [*small, "model.text_epochs=1", "align.lora_r=4", "align.lora_dropout=0", "align.ema_decay=0"]
    plain += ["align.residual_dropout=0", "align.max_steps=8"]
    two = prepared(quickstart, tmp_path / "two")
    output = launch("quickstart", f"output_dir={two}", *plain)
    assert "trained in 2 process(es)" in output
    assert output.count("training a small language model on") == 1  # told once, made by both
    recipe = Recipe.load("quickstart", [f"output_dir={tmp_path / 'alone'}", *plain])
    folders = text_base(recipe, load_inputs(recipe).items), two / "base"
    alone, together = (load_file(folder / "model.safetensors") for folder in folders)
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, atol=2e-3, rtol=0, msg=name)

    one = prepared(quickstart, tmp_path / "one")
    shutil.copytree(two / "base", one / "base")  # rounding in a base would grow in what is trained on it
    assert (
        "training a small language model"
        not in genrec("align", "quickstart", f"output_dir={one}", *plain).stderr
    )
    adapters = [load_file(folder / "align" / "best" / "adapter_model.safetensors") for folder in (one, two)]
    assert adapters[0].keys() == adapters[1].keys()
    for name, value in adapters[0].items():
        torch.testing.assert_close(adapters[1][name], value, atol=2e-3, rtol=0, msg=name)


@pytest.mark.slow
def test_a_run_killed_in_training_ends_with_the_same_weights(
    quickstart: Any, genrec: Any, small: list[str], tmp_path: Path
) -> None:
    longer = [*small, "align.max_steps=40", "align.patience=0"]
    whole = prepared(quickstart, tmp_path / "whole")
    genrec("align", "quickstart", f"output_dir={whole}", *longer)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    for attempt in range(3):  # on a busy machine the run may be over before it is killed
        killed = prepared(quickstart, tmp_path / f"killed{attempt}")
        command = ["genrec", "align", "quickstart", f"output_dir={killed}", *longer]
        with (tmp_path / "errors").open("w") as errors:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=errors
            )
        while process.poll() is None and not (killed / "align" / "checkpoint-16" / "complete").exists():
            time.sleep(0.02)
        process.kill()
        process.wait()
        if not (killed / "bundle").exists():
            break
    assert process.returncode == -signal.SIGKILL, (tmp_path / "errors").read_text()
    resumed = genrec(*command[1:])
    assert "resuming from" in resumed.stderr
    expected, found = weights(whole / "bundle"), weights(killed / "bundle")
    assert max(float((found[name] - value).abs().max()) for name, value in expected.items()) <= 1e-6
    again = genrec(*command[1:]).stdout
    assert "skipped" in again


@pytest.mark.slow
def test_a_run_of_other_inputs_is_set_aside_not_mixed_in(
    quickstart: Any, genrec: Any, small: list[str], tmp_path: Path
) -> None:
    folder = prepared(quickstart, tmp_path / "out")
    genrec("align", "quickstart", f"output_dir={folder}", *small)
    changed = genrec("align", "quickstart", f"output_dir={folder}", *small, "align.learning_rate=1e-3")
    assert "held a run of other inputs" in changed.stderr
    assert (folder / "align.old" / "finished.json").is_file()


def test_a_batch_that_does_not_divide_is_refused(
    quickstart: Any, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrec import GenRecError, Recipe
    from genrec.pipeline import trainer

    class Three:
        num_processes = 3

    monkeypatch.setattr(trainer, "process_state", Three)
    with pytest.raises(GenRecError, match=r"align\.batch_size=32 for 3 processes"):
        trainer.training_arguments(Recipe.load("quickstart", small), tmp_path)
