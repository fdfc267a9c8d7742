"""The report: one table, one rule, the same numbers in both files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from genrec.errors import DataError
from genrec.evaluation import EvaluationReport, EvaluationResult, LeakReport, ProbeResult, SliceResult
from genrec.evaluation.row_order_probe import IDS, ROWS, RuleResult


def result(name: str, recall: float, **changes: object) -> EvaluationResult:
    made = EvaluationResult(
        name=name,
        metrics={"recall@5": recall / 2, "recall@10": recall},
        intervals={"recall@5": (recall / 4, recall), "recall@10": (recall / 2, 2 * recall)},
        per_user={"recall@5": np.zeros(3, np.float32), "recall@10": np.zeros(3, np.float32)},
        user_ids=("anna", "ben", "cora"),
        cases="0123456789abcdef",
        history_masked=False,
        invalid_rate=0.0,
        duplicate_rate=0.0,
        seconds=1.25,
    )
    return dataclasses.replace(made, **changes)


PROBE = ProbeResult((RuleResult(ROWS, "rows nearest", 0.002, 0.0023),), {ROWS: 0.7}, (), 3, 999)


def test_both_files_hold_every_ranker_the_rule_and_the_facts(tmp_path: Path) -> None:
    report = EvaluationReport([result("genrec", 0.08), result("popularity", 0.02)], PROBE, {"seed": 7})
    report.write(tmp_path / "new")
    text = (tmp_path / "new" / "report.md").read_text(encoding="utf-8")
    assert "| genrec | 0.0400 [0.0200, 0.0800] | 0.0800 [0.0400, 0.1600] | 0 % | 0 % |" in text
    assert "| popularity |" in text
    assert "- history masked: no" in text
    assert "- seed: 7" in text
    assert "- cases: 3" in text
    assert "row-order probe: passed; recall@10 0.0020 by 'rows nearest', 0.0023 by chance" in text
    assert "oracle" not in text
    written = json.loads((tmp_path / "new" / "report.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(report.to_dict()))
    assert [row["name"] for row in written["rankers"]] == ["genrec", "popularity"]
    assert written["rankers"][0]["metrics"]["recall@10"] == 0.08
    assert written["history_masked"] is False
    assert written["row_order_probe"]["p_values"] == {ROWS: 0.7}
    assert "anna" not in text + str(written)


def test_shares_of_the_oracle_are_taken_at_the_largest_cut_off() -> None:
    report = EvaluationReport([result("genrec", 0.3), result("oracle", 0.4)])
    text = report.to_markdown()
    assert "recall@10, share of oracle" in text
    assert "| 75 % |" in text
    assert "| 100 % |" in text
    assert [row["share_of_oracle"] for row in report.to_dict()["rankers"]] == pytest.approx([0.75, 1.0])


def test_an_oracle_that_finds_nothing_has_no_shares() -> None:
    report = EvaluationReport([result("genrec", 0.3), result("oracle", 0.0)])
    assert "share_of_oracle" not in report.to_dict()["rankers"][0]
    assert report.to_markdown().count("| - |") == 2


def test_a_small_share_of_invalid_items_never_reads_as_none() -> None:
    text = EvaluationReport([result("genrec", 0.1, invalid_rate=1e-7, duplicate_rate=0.25)]).to_markdown()
    assert "| 0.01 % | 25.00 % |" in text


def test_masking_and_numbers_in_ids_are_stated() -> None:
    probe = dataclasses.replace(PROBE, leaks=(IDS,))
    text = EvaluationReport([result("genrec", 0.1, history_masked=True, intervals={})], probe).to_markdown()
    assert "- history masked: yes" in text
    assert "numbers in the item ids do beat chance" in text
    assert "bootstrap" not in text
    assert "| genrec | 0.0500 | 0.1000 |" in text


@pytest.mark.parametrize(
    "change", [{"history_masked": True}, {"cases": "fedcba9876543210"}, {"metrics": {"recall@10": 0.1}}]
)
def test_rows_measured_in_different_ways_do_not_share_a_table(change: dict[str, object]) -> None:
    with pytest.raises(DataError, match="was not measured as 'one' was"):
        EvaluationReport([result("one", 0.1), result("other", 0.1, **change)])


def test_names_are_distinct_and_a_table_has_a_row() -> None:
    with pytest.raises(DataError, match="name of its own"):
        EvaluationReport([result("one", 0.1), result("one", 0.2)])
    with pytest.raises(DataError, match="name of its own"):
        EvaluationReport([])


def test_hits_by_id_stand_beside_the_others_and_are_marked() -> None:
    by_id = SliceResult(3, {"recall@5": 0.2, "recall@10": 0.3}, {"recall@10": (0.1, 0.5)})
    report = EvaluationReport([result("genrec", 0.1, id_level=by_id), result("popularity", 0.02)])
    text = report.to_markdown()
    assert "| genrec † | 0.2000 | 0.3000 [0.1000, 0.5000] |" in text
    assert "† A hit counts for the Semantic ID" in text
    assert report.to_dict()["rankers"][0]["id_level"]["metrics"]["recall@10"] == 0.3
    assert "†" not in EvaluationReport([result("genrec", 0.1)]).to_markdown()


def test_slices_have_a_table_with_their_cases_and_the_rule() -> None:
    parts = {
        "tail items": SliceResult(2, {"recall@5": 0.5, "recall@10": 0.5}, {"recall@10": (0.0, 1.0)}),
        "unseen items": SliceResult(0, {}, {}),
    }
    text = EvaluationReport([result("genrec", 0.1, slices=parts, coverage=0.25)]).to_markdown()
    assert "## recall@10 by slice" in text
    assert "| ranker | tail items, 2 cases | unseen items, 0 cases |" in text
    assert "| genrec | 0.5000 [0.0000, 1.0000] | - |" in text
    assert "History masked: no." in text
    assert "| 25.00 % | 1.2 |" in text


def test_slices_that_not_all_rows_have_are_left_out_of_the_table() -> None:
    part = SliceResult(2, {"recall@5": 0.5, "recall@10": 0.5}, {})
    both = {"tail items": part, "own": part}
    other = result("other", 0.1, slices={"tail items": part, "own": dataclasses.replace(part, cases=1)})
    text = EvaluationReport([result("genrec", 0.1, slices=both), other]).to_markdown()
    assert "| ranker | tail items, 2 cases |\n" in text
    text = EvaluationReport([result("genrec", 0.1, slices=both), result("other", 0.1)]).to_markdown()
    assert "by slice" not in text


def test_what_the_leak_probes_found_is_told() -> None:
    leaks = LeakReport(3, 0.0, 0.01, 0.25, 0.1, ("Semantic IDs",))
    report = EvaluationReport([result("genrec", 0.1)], leaks=leaks)
    text = report.to_markdown()
    assert "- targets in their history: 0.00% of 3 cases (1.00% of training users' last" in text
    assert "- training data from the future: 25.00% of the training interactions are later" in text
    assert "- held-out interactions changed: Semantic IDs stay the same, byte for byte" in text
    assert report.to_dict()["leaks"]["later_training"] == 0.25
