"""Which collator makes a model's batches.

Does not know how a batch is laid out: the collators do.
"""

from __future__ import annotations

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from genrec.errors import TrainingError
from genrec.tasks import PromptBuilder, SeqRec, TaskMixture
from genrec.training.packing import PackingCollator
from genrec.training.seq2seq_collator import Seq2SeqCollator


def batch_collator(
    model: PreTrainedModel | PeftModel,
    builder: PromptBuilder,
    mixture: TaskMixture,
    device: torch.device | str = "cpu",
) -> PackingCollator | Seq2SeqCollator:
    """Packed sequences for decoder-only models, prompts and answers for encoder-decoder models.

    Args:
        model: Whose architecture decides.
        builder: Names the padding token.
        mixture: The tasks.
        device: Where batches go; all but a CPU gets batches of few shapes.

    Raises:
        TrainingError: Packed `seqrec` rows for an encoder-decoder, which would learn all of a user's items as
            one long answer to the first.
    """
    if not model.config.is_encoder_decoder:
        return PackingCollator(builder.pad_token_id, few_shapes=torch.device(device).type != "cpu")
    if any(isinstance(task, SeqRec) for task in mixture.tasks):
        raise TrainingError(
            "an encoder-decoder model cannot learn from packed rows of seqrec",
            received=f"{type(model).__name__} with seqrec in the form packed",
            remedy="use seqrec in the form prefixes, which gives a row for every prefix",
        )
    return Seq2SeqCollator(builder.pad_token_id, model.config.decoder_start_token_id)
