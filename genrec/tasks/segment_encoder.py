"""Segments to token ids: trusted text as it stands, untrusted text on its own, Semantic IDs as codes.

Does not know what a prompt looks like, nor how long one may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from genrec.errors import PromptError
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
        self._columns: dict[TextColumn, EncodedColumn] = {}
        self._frames: dict[tuple[Role, ...], tuple[str, ...]] = {}

    def frame(self, roles: tuple[Role, ...]) -> tuple[str, ...]:
        """Trusted texts around the turns of these roles and the answer; see `chat_frame`."""
        frame = self._frames.get(roles)
        if frame is None:
            frame = self._frames[roles] = chat_frame(self.text_tokenizer, (*roles, "assistant"))
        return frame

    def pieces(self, segments: Sequence[Segment]) -> list[Piece]:
        """Token ids of segments; trusted neighbours are encoded as one text.

        Raises:
            VocabularyError: A code outside its codebook, or a text tokenizer that cannot be trusted.
        """
        pieces, trusted = [], ""
        for segment in segments:
            if isinstance(segment, Trusted):
                trusted += segment.text
                continue
            if trusted:
                pieces.append(Piece(self._encoded_trusted(trusted)))
                trusted = ""
            pieces.append(self._piece(segment))
        if trusted:
            pieces.append(Piece(self._encoded_trusted(trusted)))
        return pieces

    def _piece(self, segment: Codes | Untrusted | ColumnTexts) -> Piece:
        match segment:
            case Codes():
                ids = self.vocabulary.encode(segment.codes)  # [items, L]
                return Piece(ids.reshape(-1), () if segment.whole else range(0, ids.size, ids.shape[-1]))
            case Untrusted():
                text = segment.text if segment.blanks else segment.text.strip()
                return Piece(self._encoded_untrusted(text), cut_end=True)
            case ColumnTexts():
                return self._column_piece(segment)

    def _column_piece(self, segment: ColumnTexts) -> Piece:
        column = self._columns.get(segment.column)
        if column is None:
            column = self._columns[segment.column] = EncodedColumn(segment.column, self.untrusted_encoder)
        if len(segment.rows) == 1:
            return Piece(column[segment.rows[0]], cut_end=True)
        separator = self._encoded_trusted(segment.separator)
        parts, starts, length = [], [], 0
        for number, row in enumerate(segment.rows):
            if number:
                parts.append(separator)
                length += len(separator)
            starts.append(length)
            parts.append(column[row])
            length += len(parts[-1])
        return Piece(np.concatenate(parts) if parts else np.empty(0, dtype=np.int64), starts)

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
