"""Batches for encoder-decoder models: what comes before a row's answer is encoded, the answer is decoded.

Does not know what the rows mean: any row that a decoder-only model could learn from, with its labels in one
run at the end, is split where the labels begin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genrec.errors import TrainingError
from genrec.tasks import IGNORED_LABEL


class Seq2SeqCollator:
    """Pads prompts and answers on the right; rows are sorted, longest prompt first.

    Args:
        pad_token_id: Token that fills up.
        start_token_id: The model's decoder start token.
    """

    def __init__(self, pad_token_id: int, start_token_id: int) -> None:
        self.pad_token_id = pad_token_id
        self.start_token_id = start_token_id

    def __call__(self, rows: Sequence[dict[str, np.ndarray]]) -> dict[str, Tensor]:
        """Rows of `input_ids` and `labels`, int64 `[length]`, to one batch.

        Returns:
            `input_ids` and `attention_mask` of the prompts, int64 `[rows, longest prompt]`;
            `decoder_input_ids` (the start token, then the answer) and `labels` (-100, then the answer), int64
            `[rows, 1 + longest answer]`, so that the decoder's state at t predicts label t + 1.

        Raises:
            TrainingError: A row without a prompt, or whose labels are not the answer at its end.
        """
        begins = [_answer_begins(row["input_ids"], row["labels"]) for row in rows]
        order = sorted(range(len(rows)), key=lambda row: -begins[row])
        longest = max(len(row["labels"]) - begin for row, begin in zip(rows, begins, strict=True))
        input_ids = np.full((len(rows), max(begins)), self.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(input_ids)
        answers = np.full((len(rows), 1 + longest), self.pad_token_id, dtype=np.int64)
        labels = np.full_like(answers, IGNORED_LABEL)
        answers[:, 0] = self.start_token_id
        for place, row in enumerate(order):
            begin, ids = begins[row], rows[row]["input_ids"]
            input_ids[place, :begin] = ids[:begin]
            mask[place, :begin] = 1
            answers[place, 1 : 1 + len(ids) - begin] = ids[begin:]
            labels[place, 1 : 1 + len(ids) - begin] = ids[begin:]
        return {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(mask),
            "decoder_input_ids": torch.from_numpy(answers),
            "labels": torch.from_numpy(labels),
        }


def _answer_begins(input_ids: np.ndarray, labels: np.ndarray) -> int:
    labelled = labels != IGNORED_LABEL
    begin = int(labelled.argmax())
    if begin == 0 or not labelled[begin:].all() or (labels[begin:] != input_ids[begin:]).any():
        raise TrainingError(
            "a row is not a prompt with its answer behind it",
            received=f"{len(labels)} tokens, labelled ones at {np.flatnonzero(labelled)[:10].tolist()}",
            remedy="give an encoder-decoder model tasks that label the end of a row and nothing else",
        )
    return begin
