"""Encoder-decoder models of any kind: the encoder runs once a prompt, the decoder has a row for every beam.

Does not know tries, codes or scores. Cross-attention's keys and values are computed once a prompt and copied
to the rows of its beams; right for every architecture, slower than packed beams.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from genrec.decoding.padding import right_padded


class RowPerBeamDecoder:
    """A `StepModel` over any encoder-decoder model.

    Args:
        model: The model, in evaluation mode.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def start(self, input_ids: Tensor, real: Tensor) -> Tensor:
        """Encodes the prompts and decodes the start token; see `StepModel.start`."""
        ids, self.real = right_padded(input_ids, real)
        self.encoded = encode(self.model, ids, self.real)  # [batch, prompt, width]
        self.beams = 1
        return self._decode(start_tokens(self.model, ids)).unsqueeze(1)  # [batch, 1 beam, vocabulary]

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """One token more on every beam; see `StepModel.step`."""
        batch, beams = tokens.shape
        first_row = torch.arange(batch, device=tokens.device).unsqueeze(1) * self.beams
        rows = (first_row + parent).flatten()  # [batch * beams], rows of the step before
        self.cache.self_attention_cache.batch_select_indices(rows)
        if beams != self.beams:
            self.cache.cross_attention_cache.batch_select_indices(rows)
            self.encoded, self.real, self.beams = self.encoded[rows], self.real[rows], beams
        return self._decode(tokens.reshape(-1, 1)).reshape(batch, beams, -1)  # [batch, beams, vocabulary]

    def _decode(self, tokens: Tensor) -> Tensor:
        """Logits `[rows, vocabulary]` after `tokens [rows, 1]`."""
        logits: Tensor = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self.encoded),
            attention_mask=self.real.long(),
            decoder_input_ids=tokens,
            past_key_values=self.cache,
            use_cache=True,
        ).logits
        return logits[:, -1]


def encode(model: PreTrainedModel, input_ids: Tensor, real: Tensor) -> Tensor:
    """The encoder's states of right-padded prompts, `[batch, prompt, width]`."""
    states: Tensor = model.get_encoder()(input_ids=input_ids, attention_mask=real.long()).last_hidden_state
    return states


def start_tokens(model: PreTrainedModel, input_ids: Tensor) -> Tensor:
    """The token every answer of an encoder-decoder model starts with, `[batch, 1]`."""
    return input_ids.new_full((len(input_ids), 1), model.config.decoder_start_token_id)
