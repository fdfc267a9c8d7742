"""How commands print: plain lines to standard output, progress and messages to standard error.

Does not know what is printed.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from genrec.pipeline import StageResult


def setup_logging() -> None:
    """Messages of genrec at INFO, of everything else at WARNING, on standard error."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("genrec").setLevel(logging.INFO)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # DeepSpeed sets its level when it is imported, and prints to standard output: a filter stays
    logging.getLogger("DeepSpeed").addFilter(lambda record: record.levelno >= logging.ERROR)


def quiet_libraries() -> None:
    """Keeps the model library's own bars and notes out of a command's output; genrec's own stay."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def line(text: str = "") -> None:
    """One line on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def json_line(value: Any) -> None:
    """A value as JSON on standard output."""
    line(json.dumps(value, ensure_ascii=False, indent=2))


def stage_line(result: StageResult) -> None:
    """What a stage did."""
    line(f"[{result.stage}] {result.message}")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table, as wide as it needs to be."""
    grid = Table(title=title, title_justify="left", box=box.MARKDOWN)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(str(cell) for cell in row))
    # titles and names are shown as they are: a "[new]" in them is no markup, a ":cup:" no emoji
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, markup=False, emoji=False)
    with console.capture() as printed:
        console.print(grid)
    line("\n".join(row.rstrip() for row in printed.get().splitlines() if row.strip()))
