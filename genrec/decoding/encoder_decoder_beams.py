"""Encoder-decoder models of any kind: the encoder runs once a prompt, the decoder has a row for every beam.

Does not know tries, codes or scores. Cross-attention's keys and values are computed once a prompt and copied
to the rows of its beams; right for every architecture, slower than packed beams.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from genrec.decoding.head_input import HeadInput, at
from genrec.decoding.output_head import Head
from genrec.decoding.padding import right_padded
from genrec.decoding.row_paths import RowPaths


class EncoderDecoderBackend:
    """Searches with any encoder-decoder model.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self.forward = HeadInput(model, logits=True)

    def head(self) -> Head:
        """See `SearchBackend.head`."""
        return self.forward.head()

    def start(self, input_ids: Tensor, real: Tensor, capacity: int = 0) -> tuple[EncoderDecoderSteps, Tensor]:
        """Encodes the prompts and decodes the start token; `capacity` changes nothing."""
        ids, real = right_padded(input_ids, real)
        encoded = encode(self.forward.model, ids, real)  # [batch, prompt, width]
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        steps = EncoderDecoderSteps(self.forward, encoded, real, cache)
        every = torch.arange(len(ids), device=ids.device)
        return steps, steps.decode(start_tokens(self.forward.model, ids), every, cache)


class EncoderDecoderSteps:
    """A search behind its prompts; see `StepModel`.

    Args:
        forward: The model up to its logits.
        encoded: float `[batch, prompt, width]`.
        real: bool `[batch, prompt]`, padded on the right.
        cache: For a row a prompt, the start token.
    """

    def __init__(self, forward: HeadInput, encoded: Tensor, real: Tensor, cache: Any) -> None:
        self.forward = forward
        self.encoded, self.real = encoded, real
        self.cache = cache
        self.paths = RowPaths(len(real), real.device)
        self.last: Any = None  # the cache of a row for every row of the last step
        self.width = 1  # rows a prompt of the last step
        self.longest = 0  # tokens of each of its rows that `last` holds, what fills up a shorter one included

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """Adds rows; see `StepModel.step`."""
        before = self.paths.before
        paths, depth = self.paths.add(tokens, parent)
        batch, new, longest = paths.shape
        goes_on = self.last is not None and longest == self.longest + 1  # from its deepest rows
        goes_on = goes_on and bool((parent >= before).all()) and bool((depth == longest).all())
        prompt = torch.arange(batch, device=parent.device).repeat_interleave(new)  # [rows]
        flat, depth = paths.flatten(0, 1), depth.flatten()  # [rows, longest], [rows]
        if goes_on:
            rows = (parent - before).flatten() + prompt * self.width
            self.last.self_attention_cache.reorder_cache(rows)
            if new != self.width:
                self.last.cross_attention_cache.reorder_cache(rows)
            chosen = self.decode(flat[:, -1:], prompt, self.last)
        else:
            self.last = copy.deepcopy(self.cache)
            self.last.reorder_cache(prompt)
            each = [self.decode(flat[:, i : i + 1], prompt, self.last) for i in range(longest)]
            chosen = at(torch.cat(each, dim=1), depth - 1)  # [rows, 1, vocabulary]
        self.width, self.longest = new, longest
        return chosen.view(batch, new, -1)

    def keep(self, prompts: Tensor) -> None:
        """Goes on with some prompts only; see `StepModel.keep`."""
        self.encoded, self.real = self.encoded[prompts], self.real[prompts]
        self.paths.keep(prompts)
        self.last = None
        self.cache.reorder_cache(prompts)

    def truncate(self, rows: int) -> None:
        """Forgets rows; see `StepModel.truncate`."""
        self.paths.truncate(rows)
        self.last = None

    def decode(self, tokens: Tensor, prompt: Tensor, cache: Any) -> Tensor:
        """Logits `[rows, 1, vocabulary]` after `tokens [rows, 1]` of the prompts `prompt [rows]`."""
        return self.forward(
            encoder_outputs=BaseModelOutput(last_hidden_state=self.encoded[prompt]),
            attention_mask=self.real[prompt].long(),
            decoder_input_ids=tokens,
            past_key_values=cache,
            use_cache=True,
        )


def encode(model: Any, input_ids: Tensor, real: Tensor) -> Tensor:
    """The encoder's states of right-padded prompts, `[batch, prompt, width]`."""
    states: Tensor = model.get_encoder()(input_ids=input_ids, attention_mask=real.long()).last_hidden_state
    return states


def start_tokens(model: Any, input_ids: Tensor) -> Tensor:
    """The token every answer of an encoder-decoder model starts with, `[batch, 1]`."""
    return input_ids.new_full((len(input_ids), 1), model.config.decoder_start_token_id)
