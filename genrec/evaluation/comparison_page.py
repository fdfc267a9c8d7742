"""The HTML report of a comparison: one file with its pictures inside.

Does not know how the numbers were made. No text of an item is in it unless an item table is handed over.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from genrec.data import ItemTable
from genrec.evaluation.comparison import Comparison
from genrec.evaluation.report import ID_MARK, ID_NOTE
from genrec.evaluation.result import EvaluationResult, SliceResult
from genrec.evaluation.run import RetrievalRun

EXAMPLES = 12
SHOWN = 5

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222 }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .7rem; text-align: right; vertical-align: top }
th:first-child, td:first-child { text-align: left } th { background: #f4f4f4 }
td small { color: #777; white-space: nowrap; display: block } img { max-width: 100% }
.items td { text-align: left } b.hit { color: #00794f }
"""


def comparison_page(comparison: Comparison, pictures: Sequence[Path], items: ItemTable | None = None) -> str:
    """Returns the page.

    Args:
        comparison: The runs.
        pictures: PNG files that are put inside.
        items: Where given, cases in which the first two runs differ most are shown with the items' titles.
    """
    first = comparison.results[0]
    inside = [
        f'<p><img alt="{escape(path.stem)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode("ascii")}"></p>'
        for path in pictures
    ]
    parts = [
        "<h1>Comparison of runs</h1>",
        f"<p>{escape(comparison.title)}. In brackets: 95 % bootstrap intervals over users "
        f"({comparison.resamples} resamples). p: two-sided paired permutation test against "
        f"<b>{escape(first.name)}</b> ({comparison.permutations} permutations, seed {comparison.seed}).</p>",
        _metrics_table(comparison),
        *inside,
        _slices_table(comparison),
        _examples(comparison, items) if items is not None else "",
        _facts_table(comparison),
    ]
    head = f'<meta charset="utf-8"><title>Comparison of runs</title><style>{STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _metrics_table(comparison: Comparison) -> str:
    metrics = list(comparison.results[0].metrics)
    rows = []
    for result, p_values in zip(comparison.results, comparison.p_values, strict=True):
        cells = [_number(result, metric, p_values) for metric in metrics]
        rates = [f"{100 * rate:.2f} %" for rate in (result.invalid_rate, result.duplicate_rate)]
        coverage = "" if result.coverage is None else f"{100 * result.coverage:.1f} %"
        rows.append([escape(result.name), *cells, *rates, coverage])
        if result.id_level is not None:
            by_id = [_number(result.id_level, metric, {}) for metric in metrics]
            rows.append([f"{escape(result.name)} {ID_MARK}", *by_id, "", "", ""])
    note = f"<p>{ID_NOTE}</p>" if any(result.id_level for result in comparison.results) else ""
    return _table(["run", *metrics, "invalid", "duplicate", "coverage"], rows) + note


def _slices_table(comparison: Comparison) -> str:
    slices, metric = comparison.results[0].slices, comparison.main_metric()
    if not slices:
        return ""
    head = ["run", *(f"{escape(name)}<br>{part.cases:,} cases" for name, part in slices.items())]
    rows = [
        [escape(result.name), *(_number(result.slices[name], metric, {}) for name in slices)]
        for result in comparison.results
    ]
    rule = escape(comparison.runs[0].masking)
    return f"<h2>{escape(metric)} by slice</h2>{_table(head, rows)}<p>{rule[0].upper()}{rule[1:]}.</p>"


def _facts_table(comparison: Comparison) -> str:
    names = list(dict.fromkeys(name for facts in comparison.facts.values() for name in facts))
    if not names:
        return ""
    rows = [
        [escape(run), *(escape(str(facts.get(name, ""))) for name in names)]
        for run, facts in comparison.facts.items()
    ]
    return f"<h2>Facts</h2>{_table(['run', *map(escape, names)], rows)}"


def _examples(comparison: Comparison, items: ItemTable) -> str:
    """Cases in which the first two runs differ most, with titles; every run's best items."""
    runs = comparison.runs
    metric = comparison.main_metric()
    places = [{case: i for i, case in enumerate(run.case_ids)} for run in runs]
    values = [run.values()[metric] for run in runs]
    other = min(1, len(runs) - 1)
    gaps = {
        case: abs(float(values[0][i] - values[other][places[other][case]])) for case, i in places[0].items()
    }
    chosen = sorted(gaps, key=lambda case: (-gaps[case], case))[:EXAMPLES]
    rows = []
    for case in chosen:
        i = places[0][case]
        wanted = {str(runs[0].items[row]) for row in _relevant(runs[0], i)}
        told = "<br>".join(escape(_title(items, item)) for item in sorted(wanted))
        lists = [_list(run, places[n][case], wanted, items) for n, run in enumerate(runs)]
        rows.append([escape(case), told, *lists])
    head = ["case", "wanted", *(escape(run.name) for run in runs)]
    return (
        f'<h2>Cases in which the first two runs differ most</h2><div class="items">{_table(head, rows)}</div>'
    )


def _relevant(run: RetrievalRun, case: int) -> list[int]:
    judged = run.relevance
    span = slice(int(judged.offsets[case]), int(judged.offsets[case + 1]))
    return [int(row) for row in judged.rows[span][judged.grades[span] > 0]]


def _list(run: RetrievalRun, case: int, wanted: set[str], items: ItemTable) -> str:
    best = run.lists[case, :SHOWN]
    names = [str(run.items[row]) if row >= 0 else "" for row in np.asarray(best).tolist()]
    shown = [
        f'<b class="hit">{escape(_title(items, name))}</b>' if name in wanted else escape(_title(items, name))
        for name in names
    ]
    return "<br>".join(f"{place}. {title}" for place, title in enumerate(shown, start=1))


def _title(items: ItemTable, item: str) -> str:
    return (items.title(item) if item in items else "") or item


def _number(result: EvaluationResult | SliceResult, metric: str, p_values: Mapping[str, float]) -> str:
    if metric not in result.metrics:
        return "-"
    more = []
    if metric in result.intervals:
        more.append("[{:.4f}, {:.4f}]".format(*result.intervals[metric]))
    if metric in p_values:
        more.append(f"p = {p_values[metric]:.4f}")
    return f"{result.metrics[metric]:.4f}" + "".join(f"<small>{text}</small>" for text in more)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"
