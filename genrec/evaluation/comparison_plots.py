"""Pictures of a comparison: metrics with their intervals, and slices.

Does not know how the numbers were made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genrec.evaluation.comparison import Comparison
from genrec.evaluation.result import EvaluationResult, SliceResult

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def draw_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes `metrics.png`, and `slices.png` where there are slices.

    Args:
        comparison: The runs.
        folder: Where the pictures go; it is there.

    Returns:
        The files.
    """
    results = comparison.results
    metrics = list(results[0].metrics)
    rows = [(metric, [(result, metric) for result in results]) for metric in metrics]
    drawn = [_draw(rows, comparison, "95 % bootstrap intervals over users", folder / "metrics.png")]
    metric = comparison.main_metric()
    parts: list[tuple[str, list[tuple[EvaluationResult | SliceResult, str]]]] = [
        (f"all\n{len(results[0].user_ids):,} cases", [(result, metric) for result in results])
    ]
    for name, part in results[0].slices.items():
        if part.cases:
            label = f"{name.replace('<=', '≤')}\n{part.cases:,} cases"
            parts.append((label, [(result.slices[name], metric) for result in results]))
    if len(parts) > 1:
        drawn.append(_draw(parts, comparison, f"{metric} by slice", folder / "slices.png"))
    return drawn


def _draw(rows: Any, comparison: Comparison, title: str, path: Path) -> Path:
    """One row a label, one point with its interval a run; runs stand under each other within a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(comparison.results)
    step = 0.8 / count
    height = 1.5 + len(rows) * max(0.5, 0.17 * count) + 0.22 * count
    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    highest = 0.0
    for i, result in enumerate(comparison.results):
        places, values, errors = [], [], ([], [])  # type: ignore[var-annotated]
        for row, (_, cells) in enumerate(rows):
            numbers, metric = cells[i]
            value = numbers.metrics[metric]
            lower, upper = numbers.intervals.get(metric, (value, value))
            places.append(row + (i - (count - 1) / 2) * step)
            values.append(value)
            errors[0].append(max(value - lower, 0.0))
            errors[1].append(max(upper - value, 0.0))
            highest = max(highest, upper)
        color, marker = COLORS[i % len(COLORS)], MARKERS[(i // len(COLORS) + i) % len(MARKERS)]
        axes.errorbar(
            values, places, xerr=errors, fmt=marker, color=color, capsize=2.5, markersize=5, label=result.name
        )
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    highest = highest or 1.0
    axes.set_xlim(-0.015 * highest, 1.05 * highest)
    for row in range(1, len(rows)):
        axes.axhline(row - 0.5, color="#dddddd", linewidth=0.8)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.set_title(f"{title}\n{comparison.title}", loc="left", fontsize=10)
    figure.legend(loc="outside lower left", ncols=min(count, 4), fontsize=9, frameon=False)
    figure.savefig(path, dpi=130)
    return path
