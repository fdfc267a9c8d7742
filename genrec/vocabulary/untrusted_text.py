"""The guard between untrusted text and the vocabulary: no text ever becomes a reserved or added token.

Does not know prompts, nor what the reserved tokens mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrec.errors import VocabularyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BLANKS = " \t\r\n\u2581"  # some text tokenizers add runs of blanks as tokens; those are plain text


class UntrustedTextEncoder:
    """Encodes text that anyone may have written, such as titles and queries.

    A text tokenizer keeps text from becoming tokens flagged special when asked to
    (`split_special_tokens=True`), but not from becoming other added tokens (Qwen's `<think>`), and a unigram
    model can emit a special token all the same. A text in which that happens is halved until its pieces are
    harmless. Characters that the text tokenizer does not know are left out.

    Args:
        text_tokenizer: The text tokenizer, already extended.
        reserved_ids: Token ids no text may become, besides special and added tokens.
    """

    def __init__(self, text_tokenizer: PreTrainedTokenizerBase, reserved_ids: Sequence[int]) -> None:
        self.text_tokenizer = text_tokenizer
        self._unknown = text_tokenizer.unk_token_id
        added = {
            i
            for i, token in text_tokenizer.added_tokens_decoder.items()
            if token.special or len(token.content.strip(BLANKS)) > 1
        }
        self._forbidden = frozenset(reserved_ids) | added | frozenset(text_tokenizer.all_special_ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of one text.

        Raises:
            VocabularyError: The text tokenizer turns a single character into a reserved token.
        """
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, in one call of the text tokenizer.

        Raises:
            VocabularyError: The text tokenizer turns a single character into a reserved token.
        """
        if not texts:
            return []
        encoded = self.text_tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)
        rows: list[list[int]] = encoded["input_ids"]
        return [
            ids if self._forbidden.isdisjoint(ids) else self._harmless(text, ids)
            for text, ids in zip(texts, rows, strict=True)
        ]

    def _harmless(self, text: str, ids: list[int]) -> list[int]:
        ids = [i for i in ids if i != self._unknown]
        smuggled = [i for i in ids if i in self._forbidden]
        if not smuggled:
            return ids
        if len(text) < 2:
            raise VocabularyError(
                "the text tokenizer turned plain text into a reserved token",
                received=f"token {self.text_tokenizer.convert_ids_to_tokens(smuggled[0])!r} from {text!r}",
                remedy="use a fast text tokenizer whose reserved tokens are flagged special",
            )
        middle = len(text) // 2
        return self.encode(text[:middle]) + self.encode(text[middle:])
