"""Segments to token ids: trusted text as it stands, untrusted text on its own, Semantic IDs as codes.

Does not know what a prompt looks like, nor how long one may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from genrec.errors import PromptError
from genrec.semantic_ids import END
from genrec.tasks.chat_frame import chat_frame
from genrec.tasks.segments import Codes, ColumnTexts, Role, Segment, Trusted, Untrusted
from genrec.tasks.shortening import Piece
from genrec.tasks.text_columns import EncodedColumn, TextColumn
from genrec.vocabulary import SemanticIdVocabulary, UntrustedTextEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KEPT_TEXTS = 1 << 14  # token ids of this many loose texts (queries, preferences) are kept


class SegmentEncoder:
    """Encodes each text once: trusted texts for good, items' texts by column, loose texts for a while.

    Args:
        text_tokenizer: The extended text tokenizer.
        vocabulary: Codes to token ids.
    """

    def __init__(self, text_tokenizer: PreTrainedTokenizerBase, vocabulary: SemanticIdVocabulary) -> None:
        self.text_tokenizer = text_tokenizer
        self.vocabulary = vocabulary
        self.untrusted_encoder = UntrustedTextEncoder(text_tokenizer, vocabulary.reserved_ids.tolist())
        self.has_chat_template = isinstance(text_tokenizer.chat_template, str)
        self._trusted: dict[str, np.ndarray] = {}
        self._untrusted: dict[str, np.ndarray] = {}
        # by identity; the matrix is kept with its ids, so that no other one takes its place
        self._matrices: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._columns: dict[TextColumn, EncodedColumn] = {}
        self._frames: dict[tuple[Role, ...], tuple[str, ...]] = {}

    def frame(self, roles: tuple[Role, ...]) -> tuple[str, ...]:
        """Trusted texts around the turns of these roles and the answer; see `chat_frame`."""
        frame = self._frames.get(roles)
        if frame is None:
            frame = self._frames[roles] = chat_frame(self.text_tokenizer, (*roles, "assistant"))
        return frame

    def arrays(self, segments: Sequence[Segment]) -> list[np.ndarray]:
        """Token ids of segments, in order; trusted neighbours are encoded as one text.

        Raises:
            VocabularyError: A code outside its codebook, or a text tokenizer that cannot be trusted.
        """
        arrays, trusted = [], ""
        for segment in segments:
            if isinstance(segment, Trusted):
                trusted += segment.text
                continue
            if trusted:
                arrays.append(self._encoded_trusted(trusted))
                trusted = ""
            arrays.append(self.encode(segment))
        if trusted:
            arrays.append(self._encoded_trusted(trusted))
        return arrays

    def planned(self, pieces: Sequence[Trusted | str]) -> list[np.ndarray | str]:
        """Trusted texts encoded, trusted neighbours as one; names of slots as they are."""
        planned: list[np.ndarray | str] = []
        trusted: list[Segment] = []
        for piece in pieces:
            if isinstance(piece, str):
                planned += [*self.arrays(trusted), piece]
                trusted = []
            else:
                trusted.append(piece)
        return planned + self.arrays(trusted)

    def pieces(self, segments: Sequence[Segment]) -> list[Piece]:
        """The same as pieces that can be shortened."""
        merged: list[Segment] = []
        for segment in segments:
            if isinstance(segment, Trusted) and merged and isinstance(merged[-1], Trusted):
                merged[-1] = Trusted(merged[-1].text + segment.text)
            else:
                merged.append(segment)
        return [
            Piece(ids, self._starts(segment), _is_one_text(segment))
            for segment in merged
            for ids in self.arrays([segment])
        ]

    def encode(self, segment: Codes | Untrusted | ColumnTexts) -> np.ndarray:
        """Token ids of one segment that is not trusted text.

        Raises:
            VocabularyError: A code outside its codebook, or a text tokenizer that cannot be trusted.
        """
        if isinstance(segment, Codes):
            if segment.rows is None:
                return self.vocabulary.flat(segment.codes)
            ids = self._matrix(segment.codes)[segment.rows].reshape(-1)
            return ids[ids != END] if self.vocabulary.spec.terminated else ids
        if isinstance(segment, Untrusted):
            return self._encoded_untrusted(segment.text if segment.blanks else segment.text.strip())
        column = self._column(segment.column)
        if len(segment.rows) == 1:
            return column[segment.rows[0]]
        separator, parts = self._encoded_trusted(segment.separator), []
        for row in segment.rows:
            parts += [separator, column[row]]
        return np.concatenate(parts[1:]) if parts else np.empty(0, dtype=np.int64)

    def _starts(self, segment: Segment) -> Sequence[int]:
        """Where each item of a history starts."""
        match segment:
            case Codes() if not segment.whole:
                if self.vocabulary.spec.terminated:
                    codes = segment.codes if segment.rows is None else segment.codes[segment.rows]
                    lengths = (1 + (np.asarray(codes) != END).sum(axis=-1)).reshape(-1).tolist()
                    return [0, *accumulate(lengths[:-1])]
                count = len(segment.codes if segment.rows is None else segment.rows)
                return range(0, count * self.vocabulary.spec.length, self.vocabulary.spec.length)
            case ColumnTexts() if len(segment.rows) > 1:
                column, separator = self._column(segment.column), self._encoded_trusted(segment.separator)
                lengths = [len(column[row]) + len(separator) for row in segment.rows]
                return [0, *accumulate(lengths[:-1])]
        return ()

    def _matrix(self, codes: np.ndarray) -> np.ndarray:
        known = self._matrices.get(id(codes))
        if known is None:
            known = self._matrices[id(codes)] = codes, self.vocabulary.encode(codes)
        return known[1]

    def _column(self, column: TextColumn) -> EncodedColumn:
        encoded = self._columns.get(column)
        if encoded is None:
            encoded = self._columns[column] = EncodedColumn(column, self.untrusted_encoder)
        return encoded

    def _encoded_trusted(self, text: str) -> np.ndarray:
        ids = self._trusted.get(text)
        if ids is None:
            encoded = self.text_tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
            ids = self._trusted[text] = np.array(encoded, dtype=np.int64)
        return ids

    def _encoded_untrusted(self, text: str) -> np.ndarray:
        ids = self._untrusted.get(text)
        if ids is None:
            if len(self._untrusted) >= KEPT_TEXTS:
                self._untrusted.clear()
            encoded = self.untrusted_encoder.encode(text)
            ids = self._untrusted[text] = np.array(encoded, dtype=np.int64)
        return ids

    @cached_property
    def _special(self) -> frozenset[int]:
        added = self.text_tokenizer.added_tokens_decoder.items()
        return frozenset(self.text_tokenizer.all_special_ids).union(i for i, token in added if token.special)

    @cached_property
    def eos(self) -> int:
        """The end token.

        Raises:
            PromptError: The text tokenizer has none.
        """
        eos = self.text_tokenizer.eos_token_id
        if not isinstance(eos, int):
            raise PromptError(
                "the text tokenizer lacks an end token, and answers must end",
                received=f"eos {eos}",
                remedy="set text_tokenizer.eos_token",
            )
        return eos

    @cached_property
    def end_ids(self) -> np.ndarray:
        """What ends every answer: the chat template's end of a turn, else the end token; int64."""
        after = self.frame(("user",))[-1]
        ids = self._encoded_trusted(after)
        special = np.flatnonzero(np.isin(ids, list(self._special)))
        return ids[: special[0] + 1] if len(special) else np.array([self.eos])


def _is_one_text(segment: Segment) -> bool:
    return isinstance(segment, Untrusted) or (isinstance(segment, ColumnTexts) and len(segment.rows) == 1)
