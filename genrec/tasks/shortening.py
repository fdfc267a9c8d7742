"""Makes a prompt that is too long fit: histories lose their oldest items, texts their ends, answers nothing.

Does not know templates or where a length limit comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genrec.errors import PromptError


@dataclass(slots=True)
class Piece:
    """Token ids of a segment, and how they may be shortened.

    Attributes:
        ids: int `[tokens]`.
        starts: Where each item of a history starts, the first at 0; empty for anything else.
        cut_end: Whether it may be cut at its end.
    """

    ids: np.ndarray
    starts: Sequence[int] = ()
    cut_end: bool = False


def shorten(pieces: Sequence[Piece], room: int) -> None:
    """Shortens pieces in place until they hold at most `room` tokens.

    Histories go first, down to their newest item, one history after the other; then the longest texts, down
    to one token each.

    Raises:
        PromptError: They cannot be made that short.
    """
    excess = sum(len(piece.ids) for piece in pieces) - room
    for piece in pieces:
        if excess > 0 and len(piece.starts) > 1:
            wanted = next((s for s in piece.starts[1:] if s >= excess), piece.starts[-1])
            piece.ids = piece.ids[wanted:]
            excess -= wanted
    texts = [piece for piece in pieces if piece.cut_end and len(piece.ids) > 1]
    while excess > 0 and texts:
        texts.sort(key=lambda piece: len(piece.ids))
        longest = texts[-1]
        second = len(texts[-2].ids) if len(texts) > 1 else 1
        kept = max(len(longest.ids) - excess, min(second, len(longest.ids) - 1), 1)
        excess -= len(longest.ids) - kept
        longest.ids = longest.ids[:kept]
        texts = [piece for piece in texts if len(piece.ids) > 1]
    if excess > 0:
        raise PromptError(
            "a row does not fit the length limit: its template, one item and its answer are longer",
            received=f"{excess} tokens too many",
            remedy="raise max_length, or lower max_characters of the tasks that answer with descriptions",
        )
