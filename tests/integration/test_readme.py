"""What the README shows is what runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from genrec import GenRecError, Recipe, SyntheticWorld
from genrec.recipe import shipped_recipes
from genrec.vocabulary import build_small_model, train_text_tokenizer

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_the_python_snippets_run_as_they_stand(
    quickstart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = SyntheticWorld.generate(seed=1, num_items=60, num_users=80)
    world.items.write(tmp_path / "items.jsonl.gz")
    world.interactions.write(tmp_path / "interactions.csv.gz")
    (tmp_path / "outputs" / "quickstart").mkdir(parents=True)
    (tmp_path / "outputs" / "quickstart" / "bundle").symlink_to(quickstart.bundle)
    monkeypatch.chdir(tmp_path)
    first, own_data, pretrained = blocks("python")
    exec(compile(first, "README.md", "exec"), {})
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 5
    assert all(re.match(r"w\d+ -\d+\.\d\d <a_\d+> <b_\d+> <c_\d+> \w", line) for line in shown)
    exec(compile(own_data, "README.md", "exec"), {})
    assert "Recommendation(item_id=" in capsys.readouterr().out
    assert (tmp_path / "outputs" / "mine" / "bundle" / "manifest.json").is_file()
    text_tokenizer = train_text_tokenizer(["words of a base model"], 270)
    build_small_model(text_tokenizer, hidden_size=16, num_layers=1, num_heads=2).save_pretrained("base")
    text_tokenizer.save_pretrained("base")  # stands in for the weights of a hub
    known: dict[str, Any] = {}
    exec(compile(pretrained.replace("Qwen/Qwen3-0.6B", "base"), "README.md", "exec"), known)
    assert known["model"].get_input_embeddings().weight.shape[0] >= len(known["text_tokenizer"])


def test_every_command_shown_exists() -> None:
    from typer.main import get_command

    from genrec.cli.main import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in "\n".join(blocks("bash")).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["genrec"]:
            assert words[1] in known, line
            if words[1] in ("check", "preview", "build-ids", "align", "evaluate"):
                try:
                    Recipe.load(words[2], [word for word in words[3:] if "=" in word])
                except GenRecError as error:
                    pytest.fail(f"{line}: {error}")
        elif words[:1] == ["make"]:
            assert f"\n{words[1]}:" in makefile, line
        elif words[:1] == ["accelerate"]:
            assert all((ROOT / word).is_file() for word in words if word.endswith((".yaml", ".py"))), line


def test_every_link_into_the_project_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_shipped_recipe_is_in_the_table() -> None:
    for name in shipped_recipes():
        assert f"[`{name}`](recipes/{name})" in README
