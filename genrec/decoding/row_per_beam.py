"""Decoder-only models whose beams cannot be packed: every beam is a row of the batch, as in generate.

Does not know tries, codes or scores. For positions read off the cache (ALiBi), recurrent and hybrid layers,
attention that takes no 4D mask. Rows that continue the step before go on from its cache; any other row
decodes its path anew from the prompt's.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from genrec.decoding.head_input import HeadInput, at
from genrec.decoding.output_head import Head
from genrec.decoding.padding import left_padded
from genrec.decoding.row_paths import RowPaths


class RowPerBeamBackend:
    """Searches with any decoder-only model.

    Args:
        model: The model.
        logits: Take the model's own logits, even where its head can be read.
        cached: Keep keys, values and states between steps; without, every row's whole text is read at each
            step, which any model can do.
    """

    def __init__(self, model: Any, *, logits: bool = False, cached: bool = True) -> None:
        self.forward = HeadInput(model, logits=logits)
        self.cached = cached
        entered = self.forward.model if self.forward.logits else self.forward.body
        self.takes_positions = "position_ids" in inspect.signature(entered.forward).parameters

    def head(self) -> Head:
        """See `SearchBackend.head`."""
        return self.forward.head()

    def start(self, input_ids: Tensor, real: Tensor, capacity: int = 0) -> tuple[RowPerBeamSteps, Tensor]:
        """Prefills the prompts; see `SearchBackend.start`. `capacity` changes nothing."""
        ids, real = left_padded(input_ids, real)
        cache = DynamicCache(config=self.forward.model.config) if self.cached else None
        steps = RowPerBeamSteps(self.forward, self.takes_positions, ids, real, cache)
        return steps, steps.run(ids, real, cache)[:, -1:]  # [batch, 1, width]


class RowPerBeamSteps:
    """A search behind its prompts; see `StepModel`.

    Args:
        forward: The model up to its head.
        takes_positions: Whether it takes position ids.
        ids: int64 `[batch, prompt]`, padded on the left.
        real: bool `[batch, prompt]`.
        cache: The prompts' `Cache`, None for none.
    """

    def __init__(
        self, forward: HeadInput, takes_positions: bool, ids: Tensor, real: Tensor, cache: Any
    ) -> None:
        self.forward = forward
        self.takes_positions = takes_positions
        self.ids, self.real = ids, real
        self.cache = cache
        self.paths = RowPaths(len(ids), ids.device)
        self.last: Any = None  # of the rows of the last step
        self.width = 1  # rows of the last step
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
        if self.cache is None:
            ids = torch.cat([self.ids[prompt], flat], dim=1)
            beyond = torch.arange(longest, device=depth.device) < depth.unsqueeze(1)
            states = self.run(ids, torch.cat([self.real[prompt], beyond], dim=1), None)
            chosen = at(states, self.ids.shape[1] + depth - 1)
        elif goes_on:
            rows = (parent - before).flatten() + prompt * self.width
            self.last.reorder_cache(rows)
            chosen = self._onward(self.last, flat, prompt, longest - 1, longest)[-1]
        else:
            self.last = copy.deepcopy(self.cache)
            self.last.reorder_cache(prompt)
            by_depth = torch.stack(self._onward(self.last, flat, prompt, 0, longest), dim=1)
            chosen = at(by_depth.squeeze(2), depth - 1)  # [rows, 1, width]
        self.width, self.longest = new, longest
        return chosen.view(batch, new, -1)

    def keep(self, prompts: Tensor) -> None:
        """Goes on with some prompts only; see `StepModel.keep`."""
        self.ids, self.real = self.ids[prompts], self.real[prompts]
        self.paths.keep(prompts)
        self.last = None
        if self.cache is not None:
            self.cache.reorder_cache(prompts)

    def truncate(self, rows: int) -> None:
        """Forgets rows; see `StepModel.truncate`."""
        self.paths.truncate(rows)
        self.last = None

    def run(self, ids: Tensor, real: Tensor, cache: Any) -> Tensor:
        """States `[rows, tokens, width]` of tokens behind what the cache holds; `real` covers both."""
        inputs: dict[str, Any] = (
            {"past_key_values": cache, "use_cache": True} if cache is not None else {"use_cache": False}
        )
        if self.takes_positions:
            inputs["position_ids"] = (real.long().cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        return self.forward(input_ids=ids, attention_mask=real.long(), **inputs)

    def _onward(self, cache: Any, paths: Tensor, prompt: Tensor, first: int, end: int) -> list[Tensor]:
        """States `[rows, 1, width]` after each of the tokens `first` to `end` of the paths, one at a time."""
        states = []
        for place in range(first, end):
            real = torch.nn.functional.pad(self.real[prompt], (0, place + 1), value=True)
            states.append(self.run(paths[:, place : place + 1], real, cache))
        return states
