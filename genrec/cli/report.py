"""How a report looks on the terminal.

Does not know how anything was measured: it reads the report's JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genrec.cli.output import line, table


def show_report(folder: Path, metrics: Sequence[str] | None = None) -> None:
    """Prints a row a ranker: metrics with 95 % intervals, share of the oracle, invalid and duplicate rate.

    Args:
        folder: Where `report.json` lies.
        metrics: Which ones; None = all.
    """
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    rankers = report["rankers"]
    shown = list(metrics or rankers[0]["metrics"])
    against_oracle = any("share_of_oracle" in row for row in rankers)
    rates = ("invalid_rate", "duplicate_rate", "coverage")
    columns = [
        "ranker",
        *shown,
        *(["of oracle"] if against_oracle else []),
        "invalid",
        "duplicate",
        "coverage",
    ]
    rows = []
    for row in rankers:
        share = [f"{row['share_of_oracle']:.0%}"] if against_oracle else []
        cells = [f"{row[rate]:.2%}" for rate in rates]
        rows.append([row["name"], *(_cell(row, metric) for metric in shown), *share, *cells])
        if "id_level" in row:
            by_id = [_cell(row["id_level"], metric) for metric in shown]
            rows.append([f"{row['name']} †", *by_id, *[""] * (len(share) + len(cells))])
    table(f"{rankers[0]['cases']:,} test cases, full catalog, per item; {report['masking']}", columns, rows)
    if any("id_level" in row for row in rankers):
        line("† a hit counts for the Semantic ID, whichever item of that ID was meant")
    line("In brackets: 95 % bootstrap intervals over users. Slices, and the whole report with its facts:")
    line(f"  {folder / 'report.md'}")


def _cell(row: Mapping[str, Any], metric: str) -> str:
    value = f"{row['metrics'][metric]:.4f}"
    if metric not in row["intervals_95"]:
        return value
    lower, upper = row["intervals_95"][metric]
    return f"{value} [{lower:.3f}, {upper:.3f}]"
