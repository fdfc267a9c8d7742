"""YAML to dataclasses: conversion by type, all errors at once, overrides, atomic writing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.config import (
    apply_overrides,
    atomic_write_text,
    build,
    fingerprint,
    read_yaml,
    to_mapping,
    write_yaml,
)
from genrec.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    rate: float = 1e-3
    steps: int = 10
    mode: Literal["fast", "slow"] = "fast"

    def __post_init__(self) -> None:
        if self.steps == 13:
            raise ValueError("thirteen steps bring bad luck")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, str] = (1, "a")
    folder: Path | None = None
    flag: bool = False
    table: dict[str, int] = field(default_factory=dict)
    either: int | str = 0


def made(**values: Any) -> Outer:
    return build(Outer, {"name": "x", **values}, source="test")


def message(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        made(**values)
    return str(caught.value)


def test_defaults_and_nested_sections() -> None:
    assert made() == Outer("x")
    assert made(inner={"rate": "2e-4", "mode": "slow"}).inner == Inner(2e-4, 10, "slow")
    assert made(inner=None).inner == Inner()


def test_values_are_converted_by_their_declared_type() -> None:
    result = made(inner={"rate": 1, "steps": "20"}, sizes=[3, "4"], folder="a/b", flag=True, table={"k": 2.0})
    assert isinstance(result.inner.rate, float)
    assert (result.inner.steps, result.sizes, result.folder, result.table) == (
        20,
        (3, 4),
        Path("a/b"),
        {"k": 2},
    )
    assert made(either=7).either == 7
    assert made(either="7").either == "7"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"inner": {"rte": 1}}, "inner.rte: unknown key; did you mean inner.rate?"),
        ({"inner": {"steps": 1.5}}, "inner.steps: expected int, received 1.5"),
        ({"inner": {"steps": True}}, "inner.steps: expected int, received True"),
        ({"inner": {"rate": "fast"}}, "inner.rate: expected float"),
        ({"inner": {"mode": "fats"}}, "did you mean 'fast'?"),
        ({"inner": 3}, "inner: expected a section"),
        ({"name": 2014}, "name: expected str, received 2014; put it in quotes"),
        ({"folder": 2026}, "folder: expected Path, received 2026; put it in quotes"),
        ({"folder": "~nobody-has-this-name/x"}, "folder: this machine knows no such home folder"),
        ({"flag": "yes"}, "flag: expected bool"),
        ({"sizes": "12"}, "sizes: expected a list"),
        ({"sizes": [1, "x"]}, "sizes[1]: expected int"),
        ({"pair": [1]}, "pair: expected 2 values"),
        ({"table": {"k": "x"}}, "table.k: expected int"),
        ({"either": [1]}, "either: expected int or str"),
        ({"inner": {"steps": 13}}, "inner: thirteen steps bring bad luck"),
        ({"inner": {"rate": float("nan")}}, "inner.rate: expected float"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(values: dict[str, Any], expected: str) -> None:
    assert expected in message(**values)


def test_all_mistakes_are_reported_at_once() -> None:
    text = message(nam="y", flag=3, inner={"rate": "x", "steps": "y"})
    assert "4 mistakes" in text
    for place in ("nam:", "flag:", "inner.rate:", "inner.steps:"):
        assert place in text
    with pytest.raises(ConfigError, match="name: missing"):
        build(Outer, {}, source="test")


def test_overrides_set_dotted_keys_in_a_copy() -> None:
    given_mapping = {"align": {"steps": 1}, "other": {"x": 1}}
    changed = apply_overrides(
        given_mapping, ["align.steps=8", "align.rate=2e-4", "new.deep.key=[1, 2]", "other="]
    )
    assert changed == {"align": {"steps": 8, "rate": "2e-4"}, "other": None, "new": {"deep": {"key": [1, 2]}}}
    assert given_mapping == {"align": {"steps": 1}, "other": {"x": 1}}
    assert apply_overrides({}, ["a=x=y", "b='run #2'", "c=a#b"]) == {"a": "x=y", "b": "run #2", "c": "a#b"}


def test_overrides_that_cannot_be_used_are_all_named() -> None:
    with pytest.raises(ConfigError) as caught:
        apply_overrides({"a": 1}, ["a.b=2", "nothing", "=3", "c=[1", "d=run #2"])
    for part in (
        "'d=run #2': of this YAML reads 'run' alone",
        "a is a value, not a section",
        "'nothing' is not of the form",
        "'=3'",
        "'c=[1'",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1\na: 2\n", "stands here twice"),
        (b"- 1\n", "must be a mapping"),
        (b"a: [1\n", "not valid YAML"),
        (b"a: \xff\n", "not UTF-8"),
        (b"a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=expected):
        read_yaml(path)


def test_a_missing_file_is_named_and_an_empty_one_is_an_empty_mapping(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml cannot be read"):
        read_yaml(tmp_path / "gone.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "empty.yaml") == {}


def test_a_date_stays_the_text_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("day: 2014-07-23\n")
    assert read_yaml(tmp_path / "a.yaml") == {"day": "2014-07-23"}


text = st.text(st.characters(exclude_categories=["Cs"]))  # a lone surrogate has no UTF-8 form
finite = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text, plain, max_size=4))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, mapping: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "again.yaml"
    write_yaml(path, mapping, header="a header\nof two lines")
    assert path.read_text(encoding="utf-8").startswith("# a header\n# of two lines\n")
    assert read_yaml(path) == mapping


def test_plain_forms() -> None:
    assert to_mapping(Outer("x", folder=Path("a/b")))["folder"] == "a/b"
    assert to_mapping({"a": (1, 2)}) == {"a": [1, 2]}
    with pytest.raises(ConfigError, match="no plain form"):
        to_mapping({"a": object()})


def test_fingerprints_depend_on_values_not_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert len(fingerprint([])) == 64


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    atomic_write_text(path, "old")

    def broken(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        atomic_write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
