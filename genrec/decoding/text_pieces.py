"""Token ids that come one by one to text that can be shown at once, in whole characters.

Does not know models, nor which tokens are not text.
"""

from __future__ import annotations

from typing import Any

_INCOMPLETE = "\ufffd"  # what half of a character decodes to


class TextPieces:
    """One run of text.

    Args:
        text_tokenizer: Decodes; special tokens are left out.
    """

    def __init__(self, text_tokenizer: Any) -> None:
        self.text_tokenizer = text_tokenizer
        self.ids: list[int] = []
        self.shown = 0  # ids whose text is out
        self.context = 0  # first id that is decoded again, as some decoders look at the token before

    def add(self, token_id: int) -> str:
        """The text that a token completes, "" while a character is incomplete."""
        self.ids.append(token_id)
        known = self._decoded(self.context, self.shown)
        text = self._decoded(self.context, len(self.ids))
        if text.endswith(_INCOMPLETE) or len(text) <= len(known):
            return ""
        self.context, self.shown = self.shown, len(self.ids)
        return text[len(known) :]

    def end(self) -> str:
        """What is left, half a character included."""
        known = self._decoded(self.context, self.shown)
        text = self._decoded(self.context, len(self.ids))
        self.ids, self.shown, self.context = [], 0, 0
        return text[len(known) :]

    def _decoded(self, start: int, end: int) -> str:
        text: str = self.text_tokenizer.decode(
            self.ids[start:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text
