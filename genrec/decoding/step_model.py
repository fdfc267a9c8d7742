"""`StepModel`: what the beam search asks of a language model, and which implementation serves which model.

Does not know tries, codes or scores.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from transformers import PreTrainedModel

from genrec.decoding.encoder_decoder_beams import RowPerBeamDecoder
from genrec.decoding.packed_beams import PackedDecoder
from genrec.decoding.packed_t5_beams import SHARED_BIAS_TYPES, PackedT5


class StepModel(Protocol):
    """A model in the middle of one search: it holds the states of the prompts and of all their beams."""

    def start(self, input_ids: Tensor, real: Tensor) -> Tensor:
        """Reads the prompts, once each.

        Args:
            input_ids: int64 `[batch, prompt]`, padded on either side.
            real: bool `[batch, prompt]`, True for real tokens.

        Returns:
            Logits of the first token of the answer, `[batch, 1, vocabulary]`.
        """
        ...

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """Moves every beam on by a token.

        Args:
            tokens: int64 `[batch, beams]`, each new beam's token.
            parent: int64 `[batch, beams]`, the beam of the step before that it continues.

        Returns:
            Logits of the token after it, `[batch, beams, vocabulary]`.
        """
        ...


def step_model(model: PreTrainedModel) -> StepModel:
    """The implementation for a model, fresh for one search."""
    if not model.config.is_encoder_decoder:
        return PackedDecoder(model)
    if model.config.model_type in SHARED_BIAS_TYPES:
        return PackedT5(model)
    return RowPerBeamDecoder(model)
