"""Prompts padded to one side, whichever side they came padded on.

Does not know models: each kind of them says which side it wants.
"""

from __future__ import annotations

from torch import Tensor


def left_padded(input_ids: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Moves every row's padding to the left and drops columns that are padding everywhere.

    Args:
        input_ids: int64 `[batch, prompt]`.
        real: bool `[batch, prompt]`, True for real tokens.

    Returns:
        Both as `[batch, longest]`.
    """
    order = real.long().argsort(dim=1, stable=True)  # padding first, tokens in their order behind it
    ids, real = input_ids.gather(1, order), real.gather(1, order)
    longest = int(real.sum(dim=1).max())
    return ids[:, -longest:], real[:, -longest:]


def right_padded(input_ids: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """The same, with the padding on the right."""
    order = (~real).long().argsort(dim=1, stable=True)  # tokens in their order, padding behind them
    ids, real = input_ids.gather(1, order), real.gather(1, order)
    longest = int(real.sum(dim=1).max())
    return ids[:, :longest], real[:, :longest]
