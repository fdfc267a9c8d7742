"""`EvaluationReport`: the table of all rankers, as markdown and JSON.

Does not know how anything was measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genrec.artifacts import atomic_write_text
from genrec.errors import DataError
from genrec.evaluation.leak_probes import LeakReport
from genrec.evaluation.result import EvaluationResult, SliceResult
from genrec.evaluation.row_order_probe import CUT_OFF, ROWS, ProbeResult
from genrec.evaluation.slices import PARTS

ORACLE = "oracle"

# Stands behind the name of a row whose hits were counted by Semantic ID.
ID_MARK = "†"
ID_NOTE = (
    f"{ID_MARK} A hit counts for the Semantic ID, whichever item of that ID was meant: for comparison with "
    "tables that count so, not with the other rows."
)


@dataclass(frozen=True)
class EvaluationReport:
    """The results of several rankers on the same cases under one rule.

    Attributes:
        results: One per ranker, in the order of the table's rows. One named `oracle` is the measure of the
            others.
        probe: The row-order probe, None where it was not run.
        facts: What else belongs beside the numbers: seed, hardware, date, sizes.
        leaks: What the other leak probes found, None where they were not run.

    Raises:
        DataError: No result, two of one name, or results on different cases, metrics or rules.
    """

    results: Sequence[EvaluationResult]
    probe: ProbeResult | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    leaks: LeakReport | None = None

    def __post_init__(self) -> None:
        """Checks that the rows can stand in one table."""
        names = [result.name for result in self.results]
        if not names or len(set(names)) < len(names):
            raise DataError(
                "a report needs results, each under a name of its own",
                received=f"results named {names}",
                remedy="give every ranker its own name",
            )
        first = self.results[0]
        for other in self.results[1:]:
            same = (other.cases, other.masking, list(other.metrics))
            if same != (first.cases, first.masking, list(first.metrics)):
                raise DataError(
                    f"{other.name!r} was not measured as {first.name!r} was",
                    received=f"cases {other.cases[:8]} and {first.cases[:8]}, {other.masking} and "
                    f"{first.masking}, metrics {list(other.metrics)} and {list(first.metrics)}",
                    remedy="measure all rows of a table with one RetrievalEvaluator",
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file: facts, probe and one entry per ranker."""
        rankers = []
        for result in self.results:
            share = self._share_of_oracle(result)
            rankers.append(result.to_dict() | ({} if share is None else {"share_of_oracle": share}))
        return {
            "facts": dict(self.facts),
            "history_masked": self.results[0].history_masked,
            "masking": self.results[0].masking,
            "leaks": None if self.leaks is None else self.leaks.to_dict(),
            "row_order_probe": None if self.probe is None else self.probe.to_dict(),
            "rankers": rankers,
        }

    def to_markdown(self) -> str:
        """The table, the rule and the facts."""
        first = self.results[0]
        metrics = list(first.metrics)
        header = ["ranker", *metrics]
        if self._oracle() is not None:
            header.append(f"{self._main_metric()}, share of {ORACLE}")
        header += ["invalid", "duplicate", "coverage", "seconds"]
        lines = [_line(header), _line(["---", *["---:"] * (len(header) - 1)])]
        for result in self.results:
            cells = [result.name, *(_cell(result, metric) for metric in metrics)]
            share = self._share_of_oracle(result)
            if self._oracle() is not None:
                cells.append("-" if share is None else f"{100 * share:.0f} %")
            cells += [_rate(result.invalid_rate), _rate(result.duplicate_rate)]
            cells += ["" if result.coverage is None else _rate(result.coverage), f"{result.seconds:.1f}"]
            lines.append(_line(cells))
            if result.id_level is not None:
                by_id = [f"{result.name} {ID_MARK}", *(_cell(result.id_level, metric) for metric in metrics)]
                lines.append(_line([*by_id, *[""] * (len(header) - len(by_id))]))
        notes = [
            "Full catalog, hits counted per item. In brackets: 95 % bootstrap intervals over users."
            if first.intervals
            else "Full catalog, hits counted per item."
        ]
        if any(result.id_level is not None for result in self.results):
            notes += ["", ID_NOTE]
        facts: dict[str, object] = {
            "cases": len(first.user_ids),
        }
        facts |= self.facts
        if self.leaks is not None:
            facts |= self.leaks.lines()
        if self.probe is not None:
            facts["row-order probe"] = _probe_line(self.probe)
        bullets = [f"- {name}: {value}" for name, value in facts.items()]
        bullets.insert(0, f"- {first.masking}")
        return "\n".join(["# Evaluation", "", *lines, "", *notes, "", *bullets, "", *self._slice_lines()])

    def _slice_lines(self) -> list[str]:
        """The table of the slices that all results have, one metric."""
        metric = self._main_metric()
        slices = {
            name: part
            for name, part in self.results[0].slices.items()
            if all(name in other.slices and other.slices[name].cases == part.cases for other in self.results)
        }
        if not slices:
            return []
        names = [f"{name}, {part.cases} cases" for name, part in slices.items()]
        lines = [_line(["ranker", *names]), _line(["---", *["---:"] * len(names)])]
        for result in self.results:
            lines.append(_line([result.name, *(_cell(result.slices[name], metric) for name in slices)]))
        notes = f"{self.results[0].masking[0].upper()}{self.results[0].masking[1:]}."
        if PARTS[0] in slices:
            notes += (
                " Head, torso and tail hold about a third of the training interactions each. Cold: by "
                "training interactions of the target."
            )
        return [f"## {metric} by slice", "", *lines, "", notes, ""]

    def write(self, folder: str | Path) -> None:
        """Writes `report.md` and `report.json` into a folder, which is made where it is missing."""
        folder = Path(folder)
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, default=str) + "\n"
        atomic_write_text(folder / "report.json", text)
        atomic_write_text(folder / "report.md", self.to_markdown())

    def _main_metric(self) -> str:
        """Recall at the largest cut-off."""
        recalls = [name for name in self.results[0].metrics if name.startswith("recall@")]
        return max(recalls, key=lambda name: int(name.removeprefix("recall@")))

    def _oracle(self) -> EvaluationResult | None:
        return next((result for result in self.results if result.name == ORACLE), None)

    def _share_of_oracle(self, result: EvaluationResult) -> float | None:
        oracle, metric = self._oracle(), self._main_metric()
        if oracle is None or not oracle.metrics[metric]:
            return None
        return float(result.metrics[metric] / oracle.metrics[metric])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(result: EvaluationResult | SliceResult, metric: str) -> str:
    if metric not in result.metrics:
        return "-"
    value = f"{result.metrics[metric]:.4f}"
    if metric not in result.intervals:
        return value
    lower, upper = result.intervals[metric]
    return f"{value} [{lower:.4f}, {upper:.4f}]"


def _rate(share: float) -> str:
    """A share in percent; a share that is not quite 0 never reads as 0."""
    return "0 %" if share == 0 else f"{max(100 * share, 0.01):.2f} %"


def _probe_line(probe: ProbeResult) -> str:
    rules = [rule for rule in probe.rules if rule.numbering == ROWS]
    if not rules:
        return "no case could be probed"
    best = max(rules, key=lambda rule: rule.recall - rule.chance)
    text = (
        f"passed; recall@{CUT_OFF} {best.recall:.4f} by '{best.rule}', {best.chance:.4f} by chance "
        f"(p = {probe.p_values[ROWS]:.2g}, {probe.permutations} random orders, {probe.cases} cases)"
    )
    if probe.leaks:
        text += f"; the {' and '.join(probe.leaks)} do beat chance, and are not used"
    return text
