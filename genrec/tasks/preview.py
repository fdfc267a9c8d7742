"""Rows of a mixture as texts with the loss mask visible, for people to look at.

Does not know colours or terminals: who prints, chooses how.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genrec.tasks.mixture import TaskMixture
from genrec.tasks.prompts import IGNORED_LABEL, PromptBuilder


@dataclass(frozen=True)
class PreviewPiece:
    """A run of tokens of one kind.

    Attributes:
        text: What they spell, special tokens shown by their names.
        learned: Whether the loss sits on them.
        is_id: Whether they are Semantic-ID tokens.
        num_tokens: How many they are.
    """

    text: str
    learned: bool
    is_id: bool
    num_tokens: int


@dataclass(frozen=True)
class PreviewRow:
    """One training row.

    Attributes:
        task: Name of its task.
        index: Its number in the mixture.
        epoch: The epoch it is drawn for.
        pieces: All of its tokens, in order.
    """

    task: str
    index: int
    epoch: int
    pieces: tuple[PreviewPiece, ...]

    @property
    def num_tokens(self) -> int:
        """Tokens of the row."""
        return sum(piece.num_tokens for piece in self.pieces)

    @property
    def num_learned(self) -> int:
        """Tokens the loss sits on."""
        return sum(piece.num_tokens for piece in self.pieces if piece.learned)


def preview_row(mixture: TaskMixture, builder: PromptBuilder, index: int, epoch: int = 0) -> PreviewRow:
    """Row `index` of an epoch, exactly as training reads it.

    Raises:
        DataError: There is no such row.
    """
    task, _ = mixture.locate(index, epoch)
    row = mixture.row(index, epoch, builder)
    ids, learned = row["input_ids"], row["labels"] != IGNORED_LABEL
    is_id = np.isin(ids, builder.vocabulary.reserved_ids)
    changes = np.flatnonzero((learned[1:] != learned[:-1]) | (is_id[1:] != is_id[:-1])) + 1
    pieces = []
    for run in np.split(np.arange(len(ids)), changes):
        text = builder.decode(ids[run])
        pieces.append(PreviewPiece(text, bool(learned[run[0]]), bool(is_id[run[0]]), len(run)))
    return PreviewRow(task.name, index, epoch, tuple(pieces))


def preview_rows(
    mixture: TaskMixture, builder: PromptBuilder, *, per_task: int = 1, epoch: int = 0
) -> list[PreviewRow]:
    """The first rows of every task of a mixture, `per_task` of each where there are as many."""
    starts = np.cumsum([0, *mixture.counts])[:-1]
    chosen = [
        int(start) + place
        for start, count in zip(starts, mixture.counts, strict=True)
        for place in range(min(per_task, count))
    ]
    return [preview_row(mixture, builder, index, epoch) for index in chosen]
