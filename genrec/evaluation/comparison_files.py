"""Compares saved runs and writes table, pictures and page.

Does not know rankers or metrics.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from genrec.artifacts import saved_artifact
from genrec.data import ItemTable
from genrec.evaluation.comparison import Comparison, compare_runs
from genrec.evaluation.comparison_page import comparison_page
from genrec.evaluation.comparison_plots import draw_comparison
from genrec.evaluation.run_files import read_run

KIND = "comparison"


def compare_folders(
    runs: Sequence[str | Path],
    output: str | Path,
    *,
    items: str | Path | None = None,
    resamples: int = 1000,
    permutations: int = 10_000,
) -> Comparison:
    """Compares runs with the first and writes `comparison.json`, PNG pictures and `report.html`.

    Args:
        runs: Folders of runs, as the stage `evaluate` writes them.
        output: Folder to write; a comparison that stood there is replaced.
        items: An item table: its titles go into the page. None = no text of an item is in it.
        resamples: Of the 95 % intervals.
        permutations: Of the paired tests.

    Raises:
        ArtifactError: A folder is no run, or a file of it was altered.
        DataError: Runs on different cases, catalogs or rules of masking.
    """
    table = None if items is None else ItemTable.read(items)
    found = compare_runs([read_run(run) for run in runs], resamples=resamples, permutations=permutations)
    with saved_artifact(output, kind=KIND, facts={"runs": [str(run) for run in runs]}) as folder:
        text = json.dumps(found.to_dict(), indent=2, ensure_ascii=False, default=str) + "\n"
        (folder / "comparison.json").write_text(text, encoding="utf-8")
        page = comparison_page(found, draw_comparison(found, folder), table)
        (folder / "report.html").write_text(page, encoding="utf-8")
    return found
