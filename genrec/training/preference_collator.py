"""Batches of preferences: every prompt once with the chosen item and once with each rejected one.

Does not know what the rows mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genrec.semantic_ids import END
from genrec.tasks import IGNORED_LABEL


class PreferenceCollator:
    """Pads on the right.

    Args:
        pad_token_id: Token that fills up.
    """

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[dict[str, np.ndarray]]) -> dict[str, Tensor]:
        """Rows of `PreferencePairs` to one batch.

        Returns:
            `input_ids`, `attention_mask` and `labels` (-100 but on the items), int64
            `[(1 + n) * rows, longest]`: first all rows with their chosen items, then all with their first
            rejected ones, and so on.
        """
        answers = np.stack(
            [np.concatenate([row["chosen_ids"][None], row["rejected_ids"]]) for row in rows], axis=1
        )  # [1 + n, rows, tokens of an ID]
        prompts = [row["prompt_ids"] for row in rows]
        sides, _, length = answers.shape
        longest = max(map(len, prompts)) + length
        input_ids = np.full((sides, len(rows), longest), self.pad_token_id, dtype=np.int64)
        labels = np.full_like(input_ids, IGNORED_LABEL)
        mask = np.zeros_like(input_ids)
        for row, prompt in enumerate(prompts):
            end = len(prompt) + length
            input_ids[:, row, : len(prompt)] = prompt
            input_ids[:, row, len(prompt) : end] = labels[:, row, len(prompt) : end] = answers[:, row]
            mask[:, row, :end] = 1
        behind = input_ids == END  # the end of a shorter ID
        input_ids[behind], labels[behind], mask[behind] = self.pad_token_id, IGNORED_LABEL, 0
        batch = {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
        # [(1 + n) * rows, longest]
        return {name: torch.from_numpy(array.reshape(-1, longest)) for name, array in batch.items()}
