"""The rules of the house: who may import whom, how large a file may be, what may lie where."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "genrec"

# A room may import only rooms that stand left of it.
ORDER = (
    "errors config artifacts data ranking embeddings quantization semantic_ids catalog vocabulary models "
    "decoding tasks training baselines evaluation hub reranking recommender serving recipe pipeline cli"
).split()

MODULES = sorted(PACKAGE.rglob("*.py"))
ALLOWED_IMPORTLIB = (["metadata"], ["resources"], ["util"])  # none of them imports a module of ours
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "extras", "misc"}
LIBRARIES = {"tokenizers", "datasets", "evaluate", "peft", "trl", "transformers", "accelerate", "torch"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str, int]]:
    """Line, module and level of every import, inside functions and type-checking blocks too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, 0
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "genrec" else [module]
            for name in names:
                yield node.lineno, name, node.level


def misplaced(path: Path) -> list[str]:
    room, found = room_of(path), []
    for line, module, level in imports(path):
        parts = module.split(".")
        if level:
            found.append(f"{path.name}:{line}: relative import")
        elif parts[0] == "importlib" and parts[1:2] not in ALLOWED_IMPORTLIB:
            found.append(f"{path.name}:{line}: importlib hides an import from this test")
        elif parts[0] == "genrec" and len(parts) > 1 and room != "__init__":
            target = parts[1]
            if target not in ORDER or (target != room and ORDER.index(target) > ORDER.index(room)):
                found.append(f"{path.name}:{line}: {room} may not import {target}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_keep_the_order_of_the_rooms(path: Path) -> None:
    assert room_of(path) in (*ORDER, "__init__"), f"{path} is in no known room"
    assert misplaced(path) == []


def test_the_import_rule_notices_an_arrow_to_the_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "data" / "wrong.py"
    wrong.parent.mkdir()
    wrong.write_text("def f():\n    from genrec.training import AlignmentTrainer\n    from . import x\n")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert misplaced(wrong) == ["wrong.py:2: data may not import training", "wrong.py:3: relative import"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_module_is_small_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert docstring, "the first line of a module says what it is"
    if path.name != "__init__.py" or path.parent != PACKAGE:
        assert re.search(r"not know|knows? no", docstring), (
            "the second line of a module says what it does not know"
        )


def test_no_constructor_takes_more_than_twelve_parameters() -> None:
    too_many = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                count = len(node.args.args) + len(node.args.kwonlyargs) - 1
                if count > 12:
                    too_many.append(f"{path.relative_to(ROOT)}:{node.lineno}: {count} parameters")
    assert too_many == []


def test_no_drawer_without_a_name() -> None:
    assert [p for p in PACKAGE.rglob("*") if p.stem in FORBIDDEN_NAMES] == []


def test_no_python_among_recipes_and_definitions() -> None:
    assert [*(ROOT / "recipes").rglob("*.py"), *(ROOT / "tokenizers").rglob("*.py")] == []


def test_scripts_are_short_use_the_public_rooms_and_shadow_no_library() -> None:
    for path in (ROOT / "scripts").glob("*.py"):
        assert path.stem not in LIBRARIES, f"{path.name} would shadow a library"
        limit = 80 if not path.name.startswith(("benchmark_", "prepare_")) else 200
        assert len(path.read_text(encoding="utf-8").splitlines()) <= limit, path.name


def test_importing_genrec_loads_no_torch() -> None:
    code = "import sys, genrec; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_reading_data_loads_no_torch() -> None:
    code = "import sys; from genrec import ItemTable, InteractionLog; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_public_name_can_be_imported_and_there_are_few() -> None:
    import genrec

    assert len(genrec.__all__) <= 30
    for name in genrec.__all__:
        assert getattr(genrec, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = genrec.nothing


def test_recommending_needs_none_of_the_extras() -> None:
    code = (
        "import sys\n"
        "for name in ('trl', 'peft', 'sentence_transformers', 'bitsandbytes'): sys.modules[name] = None\n"
        "from genrec import Catalog, GenerativeRecommender, ItemTokenizer, RetrievalEvaluator"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_command_that_needs_an_extra_names_it() -> None:
    code = (
        "import sys; sys.modules['trl'] = None\n"
        "sys.argv = ['genrec', 'evaluate', 'quickstart']\n"
        "from genrec.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'genrec-toolkit[train]'" in done.stderr
