"""Batches without padding waste: several short rows stand one after the other in one sequence.

Does not know what the rows mean. Position ids start at 0 with every row, which is how transformers' attention
masks tell the rows of a sequence apart, so the loss is that of the padded batch at the cost of the real
tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genrec.tasks import IGNORED_LABEL


class PackingCollator:
    """Packs the rows of a batch, longest first, each into the first sequence with room for it.

    A sequence is as long as the batch's longest row. What is left over at its end is filled with padding
    tokens, each a row of its own (position 0) without a label.

    Args:
        pad_token_id: Token that fills up.
        few_shapes: Round the sequences' length up to a multiple of 8, and their number up to one of 16 an
            octave (at most a sixteenth more). An accelerator prepares anew for every shape it has not seen:
            attention of cuDNN, torch's first choice on Hopper, plans its kernels for each.
    """

    def __init__(self, pad_token_id: int, *, few_shapes: bool = False) -> None:
        self.pad_token_id = pad_token_id
        self.few_shapes = few_shapes

    def __call__(self, rows: Sequence[dict[str, np.ndarray]]) -> dict[str, Tensor]:
        """Rows of `input_ids` and `labels`, int64 `[length]`, to one batch.

        Returns:
            `input_ids`, `labels` and `position_ids`, int64 `[sequences, longest]`, rounded up if so asked.
        """
        lengths = np.array([len(row["input_ids"]) for row in rows])
        longest = int(lengths.max())
        if self.few_shapes:
            longest += -longest % 8
        used: list[int] = []  # tokens in each sequence
        places = np.empty((len(rows), 2), dtype=np.int64)  # sequence and offset of each row
        for row in np.argsort(-lengths, kind="stable"):
            room = (s for s, tokens in enumerate(used) if tokens + lengths[row] <= longest)
            sequence = next(room, len(used))
            if sequence == len(used):
                used.append(0)
            places[row] = sequence, used[sequence]
            used[sequence] += int(lengths[row])
        count = len(used)
        if self.few_shapes:
            count += -count % (1 << max(0, count.bit_length() - 5))
        input_ids = np.full((count, longest), self.pad_token_id, dtype=np.int64)
        labels = np.full_like(input_ids, IGNORED_LABEL)
        position_ids = np.zeros_like(input_ids)
        for row, (sequence, offset), length in zip(rows, places, lengths, strict=True):
            here = slice(offset, offset + length)
            input_ids[sequence, here] = row["input_ids"]
            labels[sequence, here] = row["labels"]
            position_ids[sequence, here] = np.arange(length)
        return {
            "input_ids": torch.from_numpy(input_ids),
            "labels": torch.from_numpy(labels),
            "position_ids": torch.from_numpy(position_ids),
        }
