"""`text`: plain text, learned whole, so that a model keeps its language while it learns Semantic IDs.

Does not know items or users. Documents are packed into windows of so many characters, long ones are cut; no
Semantic ID and no other reserved token ever comes out of a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from genrec.data import read_texts
from genrec.errors import DataError
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Segment, Untrusted

SEPARATOR = "\n\n"


class TextReplay:
    """One row per window; the same windows every epoch.

    Args:
        texts: Documents; blanks around them are cut off, empty ones left out.
        window: Characters of a row at the most. What a row's tokens have beyond the builder's `max_length` is
            lost, so that some three times that many characters are a good choice.

    Raises:
        DataError: Windows of fewer than 16 characters, or no document with something in it.
    """

    name = "text"

    def __init__(self, texts: Iterable[str], *, window: int = 1500) -> None:
        if window < 16:
            raise DataError(
                "windows are too small to learn from", received=f"window={window}", remedy="use 16 or more"
            )
        self.texts: pa.Array = pa.array([text for text in map(str.strip, texts) if text], pa.large_string())
        if not len(self.texts):
            raise DataError(
                "there is no text to replay", received="no document with something in it", remedy="give some"
            )
        chunks = [
            (number, begin, end)
            for number, text in enumerate(self.texts)
            for begin, end in _cuts(text.as_py(), window)
        ]
        self.chunks = np.array(chunks, dtype=np.int64)  # [chunks, document | begin | end]
        begins, room = [], 0
        for place, (_, begin, end) in enumerate(chunks):
            room -= end - begin + len(SEPARATOR)
            if room < 0:
                begins.append(place)
                room = window - (end - begin)
        self.begins = np.array([*begins, len(chunks)], dtype=np.int64)  # [rows + 1], into the chunks

    @classmethod
    def read(
        cls, source: str | Path, *, column: str = "text", split: str | None = None, window: int = 1500
    ) -> TextReplay:
        """Windows of the documents of a file or data set; see `genrec.data.read_texts`.

        Raises:
            DataError: The source cannot be read, or see the class.
        """
        return cls(read_texts(source, column=column, split=split), window=window)

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.begins) - 1

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch: none."""
        return 0

    def window(self, index: int) -> str:
        """The text of row `index`."""
        span = self.chunks[self.begins[index] : self.begins[index + 1]].tolist()
        return SEPARATOR.join(self.texts[number].as_py()[begin:end].strip() for number, begin, end in span)

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; nothing is drawn."""
        segments: list[Segment] = [Untrusted(self.window(index))]
        return builder.text(segments)


def _cuts(text: str, window: int) -> list[tuple[int, int]]:
    """Cuts a text into spans of at most `window` characters, between words where that can be."""
    spans, begin = [], 0
    while len(text) - begin > window:
        blank = max(text.rfind(mark, begin + window // 2, begin + window) for mark in (" ", "\n"))
        end = blank + 1 if blank >= 0 else begin + window
        spans.append((begin, end))
        begin = end
    return [*spans, (begin, len(text))]
