"""The one prompt builder, used for training rows and for serving alike.

Does not know tasks' sources, nor what a model does with a prompt. A prompt is a run of id segments: trusted
marks and Semantic IDs as token ids; text, where a task has any, is encoded on its own and never as part of a
template string.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrec.errors import PromptError
from genrec.vocabulary import SemanticIdVocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED_LABEL = -100


class PromptBuilder:
    """Turns histories of codes into token ids.

    Args:
        vocabulary: Codes to token ids.
        bos_token_id: Token every prompt starts with.
        pad_token_id: Token that fills shorter prompts of a batch.
        max_history: Items kept of a history; what came before is cut at the oldest end.

    Raises:
        PromptError: `max_history` below 1.
    """

    def __init__(
        self, vocabulary: SemanticIdVocabulary, *, bos_token_id: int, pad_token_id: int, max_history: int = 20
    ) -> None:
        if max_history < 1:
            raise PromptError(
                "a prompt needs room for an item",
                received=f"max_history={max_history}",
                remedy="set it to 1 or more",
            )
        self.vocabulary = vocabulary
        self.bos_token_id = bos_token_id
        self.pad_token_id = pad_token_id
        self.max_history = max_history

    @classmethod
    def for_tokenizer(
        cls,
        text_tokenizer: PreTrainedTokenizerBase,
        vocabulary: SemanticIdVocabulary,
        *,
        max_history: int = 20,
    ) -> PromptBuilder:
        """The builder of a text tokenizer; prompts start with its start token, else with its end token.

        Raises:
            PromptError: The text tokenizer has neither, or no padding token.
        """
        bos, eos, pad = text_tokenizer.bos_token_id, text_tokenizer.eos_token_id, text_tokenizer.pad_token_id
        start = eos if bos is None else bos  # Qwen's have no start token
        if not isinstance(start, int) or not isinstance(pad, int):
            raise PromptError(
                "the text tokenizer lacks a start or a padding token",
                received=f"bos {bos}, eos {eos}, pad {pad}",
                remedy="set text_tokenizer.pad_token and text_tokenizer.bos_token",
            )
        return cls(vocabulary, bos_token_id=start, pad_token_id=pad, max_history=max_history)

    def history(self, codes: np.ndarray) -> np.ndarray:
        """Prompt of a history: start token, then the newest `max_history` items' tokens.

        Args:
            codes: int `[items, L]`, oldest first; no item at all is a prompt of the start token alone.

        Returns:
            int64 `[1 + min(items, max_history) * L]`.
        """
        return self._ids(codes[-self.max_history :])

    def next_items(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Training row of a run of items, in which every item after the first is a target.

        Each target stands behind exactly the prompt that `history` builds of the items before it.

        Args:
            codes: int `[items, L]`, oldest first, at most `max_history + 1` items.

        Returns:
            Token ids and labels, int64 `[1 + items * L]`; labels are -100 up to the end of the first item.

        Raises:
            PromptError: More items than any prompt in serving holds.
        """
        if len(codes) > self.max_history + 1:
            raise PromptError(
                "a training row is longer than any prompt in serving",
                received=f"{len(codes)} items for max_history={self.max_history}",
                remedy="cut the row to max_history + 1 items",
            )
        ids = self._ids(codes)
        labels = ids.copy()
        labels[: 1 + self.vocabulary.spec.length] = IGNORED_LABEL
        return ids, labels

    def batch(self, histories: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Left-padded prompts of several histories: ids and mask, int64 `[batch, longest]`."""
        prompts = [self.history(codes) for codes in histories]
        longest = max(len(prompt) for prompt in prompts)
        ids = np.full((len(prompts), longest), self.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = prompt
            mask[row, longest - len(prompt) :] = 1
        return ids, mask

    def _ids(self, codes: np.ndarray) -> np.ndarray:
        return np.concatenate([[self.bos_token_id], self.vocabulary.encode(codes).reshape(-1)]).astype(
            np.int64
        )
