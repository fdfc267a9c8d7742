"""A quickstart small enough for tests, run once through the real command line."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genrec import GenRecError, Recipe, SyntheticWorld

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


SCALED = {  # what a page shows -> what its test runs
    '"Qwen/Qwen3-0.6B"': '"base"',
    '"outputs/mine", lora_r=16': '"outputs/mine", lora_r=2, max_steps=2, per_device_train_batch_size=4',
    '"outputs/preferred", max_steps=200, per_device_train_batch_size=64': '"outputs/preferred", max_steps=2',
}


@dataclass(frozen=True)
class Page:
    """A page of markdown and what it shows."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """Its code blocks of a language, in order."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, flags=re.MULTILINE | re.DOTALL)

    def run(self) -> dict[str, Any]:
        """Runs its Python blocks one after the other, long training cut short, the base model a small one."""
        known: dict[str, Any] = {"__name__": "page"}
        for number, block in enumerate(self.blocks("python"), start=1):
            for shown, used in SCALED.items():
                block = block.replace(shown, used)
            exec(compile(block, f"{self.path.name}, block {number}", "exec"), known)
        return known

    def run_commands(self) -> list[str]:
        """Runs its genrec commands in this process, one after the other; gives what each printed."""
        from typer.testing import CliRunner

        from genrec.cli.main import app

        printed = []
        for line in "\n".join(self.blocks("bash")).replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["genrec"]:
                done = CliRunner().invoke(app, words[1:])
                assert done.exit_code == 0, f"{line}\n{done.output}"
                printed.append(done.output)
        return printed

    def check_commands(self) -> None:
        """Holds every command to what there is: commands, options, recipes, targets, files."""
        from typer.main import get_command

        from genrec.cli.main import app

        known = get_command(app).commands  # type: ignore[attr-defined]
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for line in "\n".join(self.blocks("bash")).replace("\\\n", " ").splitlines():
            words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
            if "|" in words:
                words = words[words.index("|") + 1 :]
            if words[:1] == ["genrec"]:
                assert words[1] in known, line
                options = {name for parameter in known[words[1]].params for name in parameter.opts}
                shown = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
                assert shown <= options | {"-k", "--help"}, line
                if words[1] in ("check", "preview", "build-ids", "align", "evaluate"):
                    changed = [word for word in words[3:] if "=" in word and not word.startswith("-")]
                    try:
                        Recipe.load(words[2], changed)
                    except GenRecError as error:
                        pytest.fail(f"{line}: {error}")
            elif words[:1] == ["make"]:
                assert f"\n{words[1]}:" in makefile, line
            elif words[:1] in (["accelerate"], ["python"]):
                files = [w for w in words if w.endswith((".yaml", ".py")) and not w.startswith("outputs/")]
                assert all((ROOT / w).is_file() for w in files), line

    def check_links(self) -> None:
        """Holds every link into the project to a file that is there."""
        for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", self.text):
            assert (self.path.parent / target).exists(), f"{self.path.name}: {target}"


@pytest.fixture
def shop_folder(quickstart: Quickstart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that pages read: a small shop, the quickstart's bundle, a base model.

    The hub is a folder beside them: no test reaches a network (`tests/unit/hub` tests the real protocol).
    """
    from genrec import GenerativeRecommender
    from genrec.vocabulary import build_small_model, train_text_tokenizer

    world = SyntheticWorld.generate(seed=1, num_items=60, num_users=80)
    world.items.write(tmp_path / "items.jsonl.gz")
    world.interactions.write(tmp_path / "interactions.csv.gz")
    (tmp_path / "outputs" / "quickstart").mkdir(parents=True)
    (tmp_path / "outputs" / "quickstart" / "bundle").symlink_to(quickstart.bundle)
    (tmp_path / "outputs" / "quickstart" / "data").symlink_to(quickstart.folder / "data")
    text_tokenizer = train_text_tokenizer(["words of a base model"], 270)
    build_small_model(text_tokenizer, hidden_size=16, num_layers=1, num_heads=2).save_pretrained(
        tmp_path / "base"
    )
    text_tokenizer.save_pretrained(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    load = GenerativeRecommender.from_pretrained

    def push(recommender: GenerativeRecommender, repo_id: str, **options: object) -> str:
        recommender.save_pretrained(tmp_path / "hub" / repo_id)
        return "0" * 40

    def pull(name: str, **options: object) -> GenerativeRecommender:
        found = tmp_path / "hub" / name
        return load(found if found.is_dir() else name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(GenerativeRecommender, "push_to_hub", push)
    monkeypatch.setattr(GenerativeRecommender, "from_pretrained", staticmethod(pull))
    return tmp_path


@pytest.fixture(scope="session")
def page() -> Callable[[str], Page]:
    """Pages by their path in the project."""
    return lambda name: Page(ROOT / name)
