"""The loss of a batch through an encoder-decoder model.

Does not know where batches come from. It is the Semantic-ID loss over the decoder's logits; prompts of like
length go through the model together, so that short ones are not padded to the longest of the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from genrec.decoding import LogitsHead
from genrec.training.loss import SemanticIdLoss

CPU_PASSES = 4  # on a CPU padding costs more than another pass of the model; elsewhere it is the other way


def seq2seq_loss(model: nn.Module, batch: dict[str, Any], loss: SemanticIdLoss) -> Tensor:
    """Summed loss of the labelled tokens, in nats.

    Args:
        model: The model, wrapped or not.
        batch: What a `Seq2SeqCollator` made.
        loss: The loss of the answers' tokens.
    """
    total = torch.zeros((), device=batch["labels"].device)
    for rows in slices(len(batch["labels"]), CPU_PASSES if total.device.type == "cpu" else 1):
        mask, answers = batch["attention_mask"][rows], batch["decoder_input_ids"][rows]
        longest = int(mask[0].sum())  # rows come longest first
        logits = model(
            input_ids=batch["input_ids"][rows, :longest],
            attention_mask=mask[:, :longest],
            decoder_input_ids=answers[:, :-1],
            use_cache=False,
        ).logits  # [rows, answer, vocabulary]
        # one more place at the end, so that place t predicts token t + 1 of the answers
        total = total + loss(
            functional.pad(logits, (0, 0, 0, 1)), LogitsHead(), answers, batch["labels"][rows]
        )
    return total


def slices(length: int, count: int) -> list[slice]:
    """`length` rows in `count` runs as even as can be, fewer where there are fewer rows.

    All processes have batches of one size, so all of them call the model equally often.
    """
    ends = [length * (i + 1) // count for i in range(count)]
    return [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False) if begin < end]
