"""The built wheel works in an environment of its own, far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build", reason="the package `build` is not installed (make setup-dev)")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_carries_recipes_and_definitions_as_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"genrec", next(top for top in tops if top.endswith(".dist-info"))}
    assert "genrec/_data/recipes/quickstart/recipe.yaml" in names
    assert "genrec/_data/tokenizers/rkmeans-3x256.yaml" in names
    assert "genrec/py.typed" in names
    assert not [name for name in names if name.startswith("genrec/_data") and name.endswith(".py")]


@pytest.mark.slow
def test_the_wheel_runs_the_quickstart_outside_the_checkout(
    wheel: Path, small: list[str], tmp_path: Path
) -> None:
    home = tmp_path / "environment"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    zipfile.ZipFile(wheel).extractall(packages)
    # the libraries of this environment, without its own .pth files: the checkout is not among them
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run(
        [python, "-c", "import genrec; print(genrec.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(packages)
    run = [python, "-c", "from genrec.cli.main import main; main()", "quickstart", "output_dir=out", *small]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The bundle lies in out/bundle" in done.stdout
    assert (tmp_path / "out" / "bundle" / "manifest.json").is_file()
