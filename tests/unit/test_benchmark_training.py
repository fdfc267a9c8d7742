"""The benchmark of training: what counts as met, when a curve got somewhere, rows by text, made-up shapes."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from genrec.recipe import Recipe
from genrec.semantic_ids import SemanticIdSpec
from genrec.tasks import IGNORED_LABEL, PromptBuilder
from genrec.tasks.segments import Codes, Trusted, Untrusted
from genrec.vocabulary import SemanticIdVocabulary, train_text_tokenizer

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SPEC = SemanticIdSpec((4, 4))

Part = Callable[[str], ModuleType]


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[Part]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield lambda name: importlib.import_module(f"benchmark_training_{name}")
    for name in [name for name in sys.modules if name.startswith("benchmark_training")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("goal", "met", "shown"),
    [
        ({}, None, ""),
        ({"at_least": 3.0}, True, ">= 3"),
        ({"at_least": 5.5}, False, ">= 5.5"),
        ({"at_most": 5.0}, True, "<= 5"),
        ({"at_most": 2.0}, False, "<= 2"),
    ],
)
def test_a_goal_is_met_or_not(part: Part, goal: dict[str, float], met: bool | None, shown: str) -> None:
    result = part("results").Result("rows", 5.0, "x", **goal)
    assert (result.met, result.goal) == (met, shown)


def test_results_are_written_as_json_and_as_a_table(part: Part, tmp_path: Path) -> None:
    results = part("results")
    rows = [results.Result("a", 12345.6, "MiB"), results.Result("b", 2.0, "x", at_least=3, identical=False)]
    results.write_json(tmp_path / "out.json", rows, {"cores": 2})
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["facts"] == {"cores": 2}
    assert [(row["name"], row["value"], row["goal"], row["met"]) for row in written["results"]] == [
        ("a", 12345.6, "", None),
        ("b", 2.0, ">= 3", False),
    ]
    assert results.table(rows).splitlines()[2:] == [
        "| a | 12,346 MiB |  |  |  |  |",
        "| b | 2 x | >= 3 | no | no |  |",
    ]


def test_a_curve_is_straight_between_two_validations(part: Part) -> None:
    meter = part("meter").Meter(collate=len, every_steps=1, patience=1, most_tokens=1)
    meter.points = [(100, 1.0, 2.0, 0.1), (200, 3.0, 6.0, 0.3), (300, 5.0, 9.0, 0.2)]
    assert meter.best == 0.3
    spent, reached = meter.reached(0.25)
    assert reached
    np.testing.assert_allclose(spent, [175, 2.5, 5.0])
    np.testing.assert_allclose(meter.reached(0.05)[0], [50, 0.5, 1.0])
    spent, reached = meter.reached(0.31)
    assert not reached
    np.testing.assert_allclose(spent, [300, 5.0, 9.0])


def test_a_kept_run_is_read_and_not_run_again(part: Part, tmp_path: Path) -> None:
    meter = part("meter").Meter
    ran = meter(collate=len, every_steps=1, patience=1, most_tokens=1, tokens=7, points=[(7, 1.0, 2.0, 0.5)])
    ran.save(tmp_path / "run.json")
    read = meter.load(tmp_path / "run.json")
    assert (read.tokens, read.points, read.best) == (ran.tokens, ran.points, 0.5)


def test_a_run_that_was_stopped_leaves_what_it_had_measured_and_is_run_again(
    part: Part, tmp_path: Path
) -> None:
    contest_class, meter_class = part("runs").Contest, part("meter").Meter
    contest = contest_class.__new__(contest_class)
    contest.recipe, contest.every_steps = Recipe.load("quickstart"), 1
    contest.kept, contest.partial, contest.most_seconds = tmp_path, None, math.inf
    partial, values = tmp_path / "quickstart-0-packed.partial.json", iter([0.1, 0.2])

    def run(stopped: bool) -> object:
        meter = contest.meter(len, math.inf)
        meter.validate = lambda model: next(values)
        meter.on_train_begin(None, None, None)
        meter([{"input_ids": [1, 2, 3]}])
        meter.on_step_end(None, SimpleNamespace(global_step=1), SimpleNamespace(), model=None)
        assert meter_class.load(partial).points == meter.points
        if stopped:
            raise KeyboardInterrupt
        return meter

    with pytest.raises(KeyboardInterrupt):
        contest.once("packed", lambda: run(stopped=True))
    assert (meter_class.load(partial).tokens, meter_class.load(partial).best) == (3, 0.1)
    assert contest.once("packed", lambda: run(stopped=False)).best == 0.2
    assert [path.name for path in tmp_path.iterdir()] == ["quickstart-0-packed.json"]


def test_a_run_on_its_own_is_kept_and_compared_with_none(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convergence, meter = part("convergence"), part("meter").Meter
    spent = []

    class Fake:
        def __init__(self, recipe: Recipe, every_steps: int, seconds: float, kept: Path) -> None:
            self.recipe, self.every_steps = recipe, every_steps

        def once(self, name: str, run: Callable[[], object]) -> object:
            spent.append((self.recipe.seed, name, run()))
            points = [(100, 1.0, 1.0, 0.1), (200, 2.0, 2.0, 0.2)]
            return meter(collate=len, every_steps=1, patience=1, most_tokens=1, points=points)

        def packed(self, normalize: str, most: float) -> tuple[str, float]:
            return normalize, most

        def row_per_prefix(self, most: float) -> float:
            return most

    monkeypatch.setattr(convergence, "Contest", Fake)
    given = {"every_steps": 1, "budget": 6, "full_softmax": False, "kept": tmp_path}
    measure = partial(convergence.measure, "quickstart", [], **given)
    assert measure([0, 1], alone="prefix", most_tokens=7) == []
    assert measure([2], alone="packed-full") == []
    assert measure([3], most_tokens=8)
    assert measure([4])  # the baseline's limit follows from the packed run: 190 tokens to 95 % of its best
    assert spent == [
        *((0, "prefix", 7), (1, "prefix", 7), (2, "packed-full", ("full", math.inf))),
        *((3, "packed", ("allowed", 8)), (3, "prefix", 8)),
        *((4, "packed", ("allowed", math.inf)), (4, "prefix", pytest.approx(6 * 190))),
    ]


def test_what_cannot_be_measured_has_a_row_that_says_why(part: Part, tmp_path: Path) -> None:
    results = part("results")

    def fails(name: str) -> list[object]:
        raise RuntimeError(f"{name} is out of memory\nmore of it")

    [row] = results.attempt("a step", fails, "it")
    assert (row.met, row.note) == (None, "not measured: RuntimeError: it is out of memory")
    results.write_json(tmp_path / "out.json", [row], {})
    assert json.loads((tmp_path / "out.json").read_text())["results"][0]["value"] is None
    assert results.table([row]).splitlines()[2].startswith("| a step |  |")


def test_ratios_say_who_never_got_there(part: Part) -> None:
    convergence, meter = part("convergence"), part("meter").Meter
    runs = {}
    for name, points in {
        convergence.PACKED: [(100, 1.0, 1.0, 0.2)],
        convergence.PREFIX: [(400, 3.0, 4.0, 0.1)],
    }.items():
        runs[name] = meter(collate=len, every_steps=1, patience=1, most_tokens=1, points=points)
    rows = {row.name: row for row in convergence.compared("made up", runs, 3.0)}
    better, worse = (f"made up, 95 % of the {which} run's best" for which in ("better", "worse"))
    tokens = rows[f"{better}: tokens, row per prefix, trl / packed"]
    assert tokens.value == pytest.approx(400 / 95)
    assert tokens.met
    assert tokens.note == "at least: it had not got there when it stopped"
    assert rows[f"{better}: s, row per prefix, trl / packed"].value == pytest.approx(3 / 0.95)
    equal = rows[f"{worse}: tokens, row per prefix, trl / packed"]
    assert equal.value == pytest.approx(380 / 47.5)
    assert (equal.note, equal.met) == ("", None)  # reached by both, and no goal


def test_rows_by_text_are_those_of_the_prompt_builder(part: Part) -> None:
    text_rows = part("text_rows")
    text_tokenizer = train_text_tokenizer(["which comb comes next after soap"])
    text_tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    text_tokenizer.chat_template = text_rows.CHAT_TEMPLATE
    vocabulary = SemanticIdVocabulary.extend(text_tokenizer, SPEC)
    prompt = [Trusted("After "), Codes(np.array([[0, 1], [2, 3]])), Trusted(" and "), Untrusted("soap")]
    answer = [Codes(np.array([[3, 0]]))]
    ours = PromptBuilder.for_tokenizer(text_tokenizer, vocabulary).sample(prompt, answer)
    theirs = text_rows.TextRows(text_tokenizer, vocabulary).sample(prompt, answer)
    for ids in (0, 1):
        shown = [text_tokenizer.decode(row[ids][row[1] != IGNORED_LABEL]).strip() for row in (ours, theirs)]
        assert shown[0] == shown[1]
    assert text_tokenizer.decode(ours[0]).strip() == text_tokenizer.decode(theirs[0]).strip()


def test_made_up_vocabularies_and_catalogs_fit_together(part: Part) -> None:
    shapes = part("shapes")
    vocabulary = shapes.vocabulary_at_end(SPEC, first=100)
    assert vocabulary.new_ids.tolist() == list(range(100, 100 + shapes.tokens_of(SPEC)))
    catalog = shapes.catalog_of([f"item{number}" for number in range(10)], SPEC)
    assert len(np.unique(catalog.codes, axis=0)) == 10
    assert vocabulary.encode(catalog.codes).shape == (10, 2)
