"""Columns of untrusted texts, each text tokenised once, when it is first needed.

Does not know items, nor which text is shown where.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genrec.vocabulary import UntrustedTextEncoder

BLOCK = 256  # texts handed to the text tokenizer at once


class TextColumn:
    """One untrusted text a row, "" where there is none.

    Args:
        name: Name of the column, for messages.
        texts: One text a row; blanks around it are cut off.
    """

    def __init__(self, name: str, texts: Sequence[str]) -> None:
        self.name = name
        self.texts: pa.Array = pc.utf8_trim_whitespace(pa.array(texts, pa.large_string()))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.texts)

    def __getitem__(self, row: int) -> str:
        """The text of a row."""
        text: str = self.texts[int(row)].as_py()
        return text

    def lengths(self) -> np.ndarray:
        """Characters of each text, int32 `[rows]`."""
        lengths: np.ndarray = pc.utf8_length(self.texts).to_numpy(zero_copy_only=False).astype(np.int32)
        return lengths

    def filled(self, max_characters: int | None = None) -> np.ndarray:
        """Which rows have a text, of at most so many characters; bool `[rows]`."""
        lengths = self.lengths()
        filled: np.ndarray = lengths > 0
        return filled if max_characters is None else filled & (lengths <= max_characters)


class EncodedColumn:
    """Token ids of a text column, made a block of rows at a time and kept as flat arrays.

    Args:
        column: The texts.
        encoder: Turns them into ids.
    """

    def __init__(self, column: TextColumn, encoder: UntrustedTextEncoder) -> None:
        self.column = column
        self.encoder = encoder
        self._blocks: list[tuple[np.ndarray, list[int]] | None] = [None] * (-(-len(column) // BLOCK))

    def __getitem__(self, row: int) -> np.ndarray:
        """Token ids of a row's text, int32 `[tokens]`."""
        number, place = divmod(int(row), BLOCK)
        block = self._blocks[number]
        if block is None:
            texts = self.column.texts.slice(number * BLOCK, BLOCK).to_pylist()
            rows = self.encoder.encode_all(texts)
            ends = np.cumsum([0, *map(len, rows)]).tolist()
            ids = np.fromiter((i for ids in rows for i in ids), dtype=np.int32, count=ends[-1])
            block = self._blocks[number] = ids, ends
        ids, ends = block
        return ids[ends[place] : ends[place + 1]]
