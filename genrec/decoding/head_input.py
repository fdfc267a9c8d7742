"""A model's forward pass up to what its output head reads, or up to the logits where the head cannot be read.

Does not know searches, caches or masks: it hands on what it is given.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genrec.decoding.output_head import Head, LogitsHead, OutputHead
from genrec.errors import DecodingError


class HeadInput:
    """Tokens in, states out; `head()` turns the states into logits.

    Args:
        model: A causal language model or an encoder-decoder, with adapters or without.
        logits: States are logits, whether the head can be read or not.
    """

    def __init__(self, model: Any, *, logits: bool = False) -> None:
        self.model = model
        self.body = model.get_decoder()
        self.encoder_decoder = bool(model.config.is_encoder_decoder)
        self.logits = logits or not _readable(model)

    def head(self) -> Head:
        """The head of the states, with the rows and scales that hold now."""
        return LogitsHead() if self.logits else OutputHead.of(self.model)

    def __call__(self, last: Tensor | None = None, **inputs: Any) -> Tensor:
        """States of a forward pass.

        Args:
            last: int64 `[batch]`, the position of each text whose state is wanted; None = all positions.
            inputs: What the model's forward takes.

        Returns:
            `[batch, tokens, width]`, with `last` given `[batch, 1, width]`.
        """
        if not self.logits:
            states: Tensor = self.body(**inputs).last_hidden_state
            return states if last is None else at(states, last)
        if last is None or self.encoder_decoder:
            states = self.model(**inputs).logits
            return states if last is None else at(states, last)
        kept, place = last.unique(return_inverse=True)
        return at(self.model(**inputs, logits_to_keep=kept).logits, place)


def at(states: Tensor, place: Tensor) -> Tensor:
    """States `[batch, tokens, width]` at one place each, `place [batch]` -> `[batch, 1, width]`."""
    return states[torch.arange(len(place), device=place.device), place].unsqueeze(1)


def _readable(model: Any) -> bool:
    if getattr(model, "final_logits_bias", None) is not None:  # BART's, Marian's: added after the head
        return False
    try:
        OutputHead.of(model)
    except DecodingError:
        return False
    return True
