"""Comparisons: what is refused, how cases are paired, what the page holds and what it does not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from genrec.baselines import Popularity, RandomRanker
from genrec.cli.main import app
from genrec.data import Cases, InteractionLog, ItemTable
from genrec.errors import DataError
from genrec.evaluation import (
    EvaluationResult,
    RetrievalEvaluator,
    RetrievalRun,
    compare_folders,
    compare_runs,
    permutation_test,
    write_run,
)

ITEMS = [f"i{n}" for n in range(20)]
SECRET = "A <b>very</b> protected title"


def cases(n: int = 60) -> Cases:
    generator = np.random.default_rng(0)
    weights = np.arange(20, 0, -1) / 210
    drawn = [generator.choice(20, size=2 + i % 8, p=weights) for i in range(n)]
    return Cases(
        tuple(f"anna {i}" for i in range(n)),
        tuple(tuple(ITEMS[j] for j in row[:-1]) for row in drawn),
        tuple(ITEMS[row[-1]] for row in drawn),
    )


LOG = InteractionLog.from_rows(
    {"user_id": f"u{u}", "item_id": ITEMS[int(item)]}
    for u in range(50)
    for item in np.random.default_rng(u).choice(20, size=4, p=np.arange(20, 0, -1) / 210)
)


def measure(ranker: Any, chosen: Cases | None = None, **options: Any) -> EvaluationResult:
    options = {"item_ids": ITEMS, "bootstrap": 40, "train": LOG, **options}
    return RetrievalEvaluator(chosen or cases(), **options).evaluate(ranker)


def run(ranker: Any, chosen: Cases | None = None, **options: Any) -> RetrievalRun:
    found = measure(ranker, chosen, **options).run
    assert found is not None
    return found


def test_numbers_are_those_of_the_evaluator_and_the_test_is_paired() -> None:
    results = [measure(Popularity(LOG, ITEMS), seed=3), measure(RandomRanker(ITEMS, seed=1), seed=3)]
    runs = [dataclasses.replace(result.run, facts={"seed": 3}) for result in results if result.run]
    found = compare_runs(runs, resamples=40, permutations=500)
    assert found.seed == 3
    for result, expected in zip(found.results, results, strict=True):
        assert result.metrics == expected.metrics
        assert result.intervals == expected.intervals
        assert result.slices == expected.slices
    order = np.argsort(np.array(runs[0].case_ids))
    gaps = results[1].run.values()["recall@10"][order] - results[0].run.values()["recall@10"][order]  # type: ignore[union-attr]
    # the draws depend on all metrics together, so the p-value of one alone agrees within its own error
    alone = permutation_test(gaps[:, None], permutations=5000)[0]
    assert found.p_values[1]["recall@10"] == pytest.approx(alone, abs=0.06)
    assert found.p_values[0] == {}
    assert found.main_metric() == "ndcg@10"


def test_cases_are_paired_whatever_their_order() -> None:
    order = np.random.default_rng(5).permutation(60)
    one, other = run(Popularity(LOG, ITEMS)), run(RandomRanker(ITEMS, seed=1))
    turned = run(RandomRanker(ITEMS, seed=1), cases().subset(order))
    straight = compare_runs([one, other], resamples=0, permutations=300)
    crooked = compare_runs([one, turned], resamples=0, permutations=300)
    assert crooked.p_values == straight.p_values
    assert straight.p_values[1]["recall@10"] < 0.05
    same = compare_runs([other, turned], resamples=0, permutations=300)
    assert set(same.p_values[1].values()) == {1.0}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mask_history": True}, "their masking differ"),
        ({"chosen": cases(59)}, "their cases differ"),
        ({"item_ids": [*ITEMS, "one more"]}, "their catalog differ"),
        ({"ks": (3,)}, "no cut-off in common"),
    ],
)
def test_runs_that_were_not_measured_alike_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        compare_runs([run(Popularity(LOG, ITEMS)), run(RandomRanker(ITEMS, seed=1), **change)])


def test_runs_of_other_cut_offs_meet_at_the_common_ones() -> None:
    deep, shallow = run(Popularity(LOG, ITEMS), ks=(3, 5, 10)), run(RandomRanker(ITEMS, seed=1), ks=(3, 5))
    found = compare_runs([deep, shallow], resamples=0, permutations=10)
    assert list(found.results[0].metrics) == ["recall@3", "ndcg@3", "recall@5", "ndcg@5", "mrr@5"]
    assert found.results[0].metrics == measure(Popularity(LOG, ITEMS), ks=(3, 5)).metrics


@pytest.mark.parametrize(
    ("log", "kept"), [(None, set()), (LOG.take(np.arange(100)), {"short histories (<= 5)"})]
)
def test_slices_that_not_all_runs_have_are_left_out(
    log: InteractionLog | None, kept: set[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(measure(Popularity(LOG, ITEMS)), tmp_path / "one")
    write_run(measure(RandomRanker(ITEMS, seed=1), train=log), tmp_path / "other")
    for names in (("one", "other"), ("other", "one")):
        found = compare_folders([tmp_path / name for name in names], tmp_path / "found", resamples=20)
        for result in found.results:
            assert set(result.slices) & {"tail items", "short histories (<= 5)"} == kept
        assert "tail items" in caplog.text


def test_runs_of_one_name_are_told_apart() -> None:
    one = run(RandomRanker(ITEMS, seed=1))
    named = [dataclasses.replace(one, facts={"recipe": "a", "seed": seed}) for seed in (1, 2, 2)]
    found = compare_runs(named, resamples=0, permutations=10)
    assert [result.name for result in found.results] == [
        "random (a, seed 1)",
        "random (a, seed 2) #1",
        "random (a, seed 2) #2",
    ]
    with pytest.raises(DataError, match="no run"):
        compare_runs([])


class Page(HTMLParser):
    """Collects pictures and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [given[name] or "" for name in ("src", "href") if name in given]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    ids = {item: f"<a_{n // 2}>" for n, item in enumerate(ITEMS)}
    rankers = [
        Popularity(LOG, ITEMS),
        RandomRanker(ITEMS, seed=1),
        RandomRanker(ITEMS, seed=2, name="<other>"),
    ]
    for number, ranker in enumerate(rankers):
        write_run(measure(ranker, semantic_ids=ids), folder / str(number), {"seed": 0, "recipe": "<toy>"})
    return [folder / str(number) for number in range(3)]


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    ItemTable.from_rows({"item_id": item, "title": f"{SECRET} {item}"} for item in ITEMS).write(path)
    return path


def test_the_page_stands_alone_and_holds_titles_only_when_asked(
    folders: list[Path], items: Path, tmp_path: Path
) -> None:
    compare_folders(folders, tmp_path / "plain", resamples=20, permutations=50)
    compare_folders(folders, tmp_path / "titled", items=items, resamples=20, permutations=50)
    for name in ("plain", "titled"):
        text = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        page = Page()
        page.feed(text)
        assert page.open == []
        assert len(page.links) == 2
        assert all(link.startswith("data:image/png;base64,") for link in page.links)
        assert "history masked: no" in text
        assert "&lt;other&gt;" in text
        assert "<other>" not in text
        assert "anna" not in text
        assert ("protected title" in text) is (name == "titled")
        assert SECRET not in text
    written = json.loads((tmp_path / "plain" / "comparison.json").read_text())
    assert [row["name"] for row in written["runs"]] == ["popularity", "random", "<other>"]
    assert written["runs"][1]["p_values"].keys() == written["runs"][1]["metrics"].keys()
    assert written["masking"] == "history masked: no"


def test_pictures_have_ink_and_white_margins(folders: list[Path], tmp_path: Path) -> None:
    compare_folders(folders, tmp_path / "out", resamples=20, permutations=50)
    for name in ("metrics.png", "slices.png"):
        pixels = np.asarray(Image.open(tmp_path / "out" / name).convert("L"))
        assert pixels.shape[1] > 1000
        assert (pixels < 128).mean() > 0.003
        border = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
        assert min(edge.min() for edge in border) > 250  # nothing is cut off at the edge


def test_the_command_prints_the_table_or_json(folders: list[Path], tmp_path: Path) -> None:
    arguments = ["compare", *map(str, folders), "-o", str(tmp_path / "out")]
    text = CliRunner().invoke(app, arguments)
    assert text.exit_code == 0, text.output
    assert "history masked: no" in text.output
    assert "p-values against popularity" in text.output
    assert "popularity †" in text.output
    printed = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert printed["against"] == "popularity"
    assert printed == json.loads((tmp_path / "out" / "comparison.json").read_text())
