"""No file that genrec reads can run code: no pickle, no remote code, no evaluation of texts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "genrec"
MODULES = sorted(PACKAGE.rglob("*.py"))
PICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Public data that its makers saved as a pickle: an unpickler that refuses every name but plain values'.
RESTRICTED = "data/public_files.py"


def faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, f"import {a.name}") for a in node.names if a.name.split(".")[0] in PICKLING
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLING:
            yield node.lineno, f"import {node.module}"
        elif isinstance(node, ast.Call):
            yield from called(node)


def called(node: ast.Call) -> Iterator[tuple[int, str]]:
    name = ast.unparse(node.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if given.get("trust_remote_code", "False") != "False":
        yield node.lineno, "trust_remote_code"
    if name.endswith(".from_pretrained") and name.startswith("Auto") and "trust_remote_code" not in given:
        yield node.lineno, f"{name} would ask whether code may run"
    if given.get("allow_pickle", "False") != "False":
        yield node.lineno, "allow_pickle"
    if name in ("torch.load", "load_state_dict_from_url") and given.get("weights_only") != "True":
        yield node.lineno, name
    if name in ("yaml.load", "yaml.unsafe_load", "yaml.full_load") and "Loader" not in given:
        yield node.lineno, name
    if name in ("eval", "exec", "compile", "__import__", "os.system", "pickle.load", "pickle.loads"):
        yield node.lineno, name


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_no_module_lets_a_file_run_code(path: Path) -> None:
    found = list(faults(ast.parse(path.read_text(encoding="utf-8"))))
    if path.relative_to(PACKAGE).as_posix() == RESTRICTED:
        assert [what for _, what in found] == ["import pickle"]
        return
    assert found == []


def test_the_rule_notices() -> None:
    wrong = (
        "import pickle\nfrom joblib import load\ntorch.load(f)\nnp.load(f, allow_pickle=True)\n"
        "AutoModel.from_pretrained(n)\nAutoModel.from_pretrained(n, "
        "trust_remote_code=True)\nyaml.load(t)\neval(t)\n"
    )
    assert [line for line, _ in faults(ast.parse(wrong))] == [1, 2, 3, 4, 5, 6, 7, 8]
    right = (
        "torch.load(f, weights_only=True)\nnp.load(f)\nAutoModel.from_pretrained(n, "
        "trust_remote_code=False)\n"
        "yaml.load(t, Loader=Safe)\nmodel.eval()\nre.compile(t)\n"
    )
    assert list(faults(ast.parse(right))) == []
