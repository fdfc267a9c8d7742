"""Columns that reviews have in an interaction log, as P5's tasks read them.

Does not know prompts, Semantic IDs or files.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genrec.data import InteractionLog
from genrec.errors import DataError

RATING, REVIEW, SUMMARY, EXPLANATION = "rating", "review", "summary", "explanation"


def has_column(log: InteractionLog, name: str) -> bool:
    """Whether a log has a column, with something in it."""
    if name not in log.table.column_names:
        return False
    column = log.table.column(name)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return bool(pc.any(pc.not_equal(pc.utf8_trim_whitespace(column), "")).as_py())
    return int(column.null_count) < len(column)


def require_column(log: InteractionLog, name: str, task: str) -> None:
    """Checks that a log has what a task needs.

    Raises:
        DataError: It has no such column, or nothing in it.
    """
    if has_column(log, name):
        return
    there = name in log.table.column_names
    raise DataError(
        f"the task {task} needs the column {name} of the interactions"
        + (", and there is nothing in it" if there else ", which this log does not have"),
        received=f"columns {', '.join(log.table.column_names)}",
        remedy=f"add the column, read it under its name there (columns={{{name!r}: ...}}), "
        f"or leave the task {task} out",
    )


class ReviewTexts:
    """One text column of a log, by the places of `Sequences`.

    Args:
        log: The training part of a split.
        name: The column.
        positions: int64 `[interactions]`, rows of the log's table.
        task: Who asks, for messages.

    Raises:
        DataError: The log has no such column, nothing in it, or no texts.
    """

    def __init__(self, log: InteractionLog, name: str, positions: np.ndarray, task: str) -> None:
        require_column(log, name, task)
        column = log.table.column(name)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise DataError(
                f"the column {name} of the interactions holds no texts",
                received=str(column.type),
                remedy=f"read a column of texts as {name}, or leave the task {task} out",
            )
        self.texts: pa.Array = pc.utf8_trim_whitespace(column.chunk(0))
        self.positions = positions

    def there(self, max_characters: int) -> np.ndarray:
        """Which interactions have a text of at most so many characters, bool `[interactions]`."""
        lengths = pc.fill_null(pc.utf8_length(self.texts), 0).to_numpy(zero_copy_only=False)[self.positions]
        there: np.ndarray = (lengths > 0) & (lengths <= max_characters)
        return there

    def __getitem__(self, place: int) -> str:
        """The text of an interaction, "" where there is none."""
        text: str | None = self.texts[int(self.positions[place])].as_py()
        return text or ""


class Ratings:
    """The ratings of a log, by the places of `Sequences`.

    Args:
        log: The training part of a split.
        positions: int64 `[interactions]`, rows of the log's table.
        task: Who asks, for messages.

    Attributes:
        values: float32 `[interactions]`, NaN where there is none.
        scale: The lowest and the highest rating, as they are written in a prompt.

    Raises:
        DataError: The log has no ratings.
    """

    def __init__(self, log: InteractionLog, positions: np.ndarray, task: str) -> None:
        require_column(log, RATING, task)
        numbers = log.table.column(RATING).chunk(0).to_numpy(zero_copy_only=False)
        self.values: np.ndarray = numbers.astype(np.float32)[positions]
        self.scale = tuple(f"{edge(self.values):g}" for edge in (np.nanmin, np.nanmax))

    @classmethod
    def of(cls, log: InteractionLog, positions: np.ndarray) -> Ratings | None:
        """The ratings of a log that has some, else None."""
        return cls(log, positions, "") if has_column(log, RATING) else None

    def has(self, place: int) -> bool:
        """Whether an interaction has a rating."""
        return not np.isnan(self.values[place])

    def there(self) -> np.ndarray:
        """Which interactions have a rating, bool `[interactions]`."""
        there: np.ndarray = ~np.isnan(self.values)
        return there

    def __getitem__(self, place: int) -> str:
        """A rating as it is written, such as "4" or "3.5"."""
        return f"{self.values[place]:g}"
