"""The commands, as a user types them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest


def ids_in(path: Path) -> set[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return {json.loads(line)["item_id"] for line in lines}


def test_quickstart_prints_a_table_recommendations_and_where_the_bundle_lies(quickstart: Any) -> None:
    for row in ("genrec", "popularity", "item-knn", "content-knn", "markov-knn", "random", "oracle"):
        assert f"\n| {row} " in quickstart.output
    assert "95 % bootstrap intervals" in quickstart.output
    assert "history masked: no" in quickstart.output
    assert "Recommended next" in quickstart.output
    assert f"The bundle lies in {quickstart.bundle}" in quickstart.output
    assert quickstart.bundle.is_dir()


def test_every_stage_leaves_its_files(quickstart: Any) -> None:
    folder = quickstart.folder
    for name in (
        "data/items.jsonl.gz",
        "data/interactions.csv.gz",
        "ids/index.json",
        "ids/diagnostics.json",
        "align/loss_curve.json",
        "align/loss_curve.png",
        "evaluation/report.md",
        "evaluation/report.json",
        "build-ids.resolved.yaml",
        "align.resolved.yaml",
        "evaluate.resolved.yaml",
        "bundle/manifest.json",
        "bundle/metrics.json",
    ):
        assert (folder / name).is_file(), name
    report = json.loads((folder / "evaluation/report.json").read_text())
    ours = next(row for row in report["rankers"] if row["name"] == "genrec")
    assert ours["invalid_rate"] == ours["duplicate_rate"] == 0


def test_running_again_skips_what_is_there_and_says_so(
    quickstart: Any, genrec: Any, small: list[str]
) -> None:
    again = genrec("quickstart", f"output_dir={quickstart.folder}", *small).stdout
    for stage in ("build-ids", "align", "evaluate"):
        assert f"[{stage}] skipped" in again
    table = [line for line in quickstart.output.splitlines() if line.startswith("|")]
    assert [line for line in again.splitlines() if line.startswith("|")] == table


def test_other_inputs_are_not_skipped(quickstart: Any, genrec: Any, small: list[str], tmp_path: Path) -> None:
    shutil.copytree(quickstart.folder / "ids", tmp_path / "out" / "ids")
    changed = genrec("build-ids", "quickstart", f"output_dir={tmp_path / 'out'}", *small, "seed=7").stdout
    assert "skipped" not in changed


def test_a_bundle_answers_the_same_in_every_process(quickstart: Any, genrec: Any) -> None:
    known = sorted(ids_in(quickstart.folder / "data" / "items.jsonl.gz"))
    command = ["recommend", str(quickstart.bundle), "--history", *known[:3], "-k", "7", "--json"]
    first, second = json.loads(genrec(*command).stdout), json.loads(genrec(*command).stdout)
    assert first == second
    assert len(first) == 7
    assert len({row["item_id"] for row in first}) == 7
    assert {row["item_id"] for row in first} <= set(known) - set(known[:3])
    assert all(row["title"] and len(row["semantic_id"]) == 3 for row in first)
    assert [row["score"] for row in first] == sorted((row["score"] for row in first), reverse=True)

    from genrec import GenerativeRecommender

    here = GenerativeRecommender.from_pretrained(quickstart.bundle).recommend(known[:3], k=7)
    assert [r.item_id for r in here] == [row["item_id"] for row in first]
    assert [r.score for r in here] == pytest.approx([row["score"] for row in first], abs=1e-5)


def test_recommend_prints_a_table_and_takes_no_history(quickstart: Any, genrec: Any) -> None:
    shown = genrec("recommend", str(quickstart.bundle), "-k", "3").stdout
    assert "Next after 0 item(s)" in shown
    assert "Semantic ID" in shown


def test_unknown_items_are_an_error_or_left_out(quickstart: Any, genrec: Any) -> None:
    failed = genrec("recommend", str(quickstart.bundle), "--history", "nobody", status=1)
    assert "error: the history names items that are not in the catalog" in failed.stderr
    assert "received: 'nobody'" in failed.stderr
    assert "Traceback" not in failed.stderr
    genrec("recommend", str(quickstart.bundle), "--history", "nobody", "--skip-unknown", "--json")


def test_a_damaged_bundle_is_refused(quickstart: Any, genrec: Any, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(quickstart.bundle, bundle)
    weights = bundle / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    failed = genrec("recommend", str(bundle), "--history", "w0001", status=1)
    assert "model.safetensors is not the file that was saved" in failed.stderr


def test_check_tells_what_it_will_cost(genrec: Any, small: list[str], tmp_path: Path) -> None:
    shown = genrec("check", "quickstart", f"output_dir={tmp_path / 'out'}", *small).stdout
    for word in ("samples", "tokens", "steps", "trained parameters", "time", "memory"):
        assert word in shown
    found = json.loads(
        genrec("check", "quickstart", "--json", f"output_dir={tmp_path / 'out'}", *small).stdout
    )
    assert found["items"] == 120
    assert found["steps"] == 24
    assert found["targets_per_epoch"] > found["training_rows"] > 0
    assert not (tmp_path / "out" / "align").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["check", "quickstrat"], "did you mean quickstart?"),
        (["check", "quickstart", "align.epoch=3"], "did you mean align.epochs?"),
        (["check", "quickstart", "align.epochs=many"], "align.epochs: expected float"),
        (["check", "quickstart", "data.source=files"], "data.items and data.interactions must be given"),
        (["recommend", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_mistakes_get_a_clear_error(genrec: Any, arguments: list[str], expected: str) -> None:
    failed = genrec(*arguments, status=1)
    assert failed.stderr.startswith("error: ")
    assert expected in failed.stderr
    assert "what to do:" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_help_recipes_and_doctor(genrec: Any) -> None:
    shown = genrec("--help").stdout
    for command in (
        "quickstart",
        "check",
        "build-ids",
        "align",
        "evaluate",
        "recommend",
        "export",
        "publish",
        "recipes",
        "doctor",
    ):
        assert command in shown
        assert genrec(command, "--help").stdout
    assert "amazon-scientific" in genrec("recipes").stdout
    assert "torch" in genrec("doctor").stdout
