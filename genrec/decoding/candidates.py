"""Scored trie nodes of many prompts in flat arrays, and the best of each prompt.

Does not know models, filters or what a search does with them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NONE = float("-inf")


class Candidates(NamedTuple):
    """Nodes that may be gone on with; all arrays `[t]`, one prompt's entries in any order.

    Attributes:
        prompt: int64.
        level: int64, the node's level.
        node: int64.
        log_prob: float32, of the path to the node.
        bound: float32, the most an item below the node can score; minus infinity where it is closed.
        row: int64, number of the row whose child the node is.
    """

    prompt: Tensor
    level: Tensor
    node: Tensor
    log_prob: Tensor
    bound: Tensor
    row: Tensor

    def at(self, index: Tensor) -> Candidates:
        """Some of them, by place or by mask."""
        return Candidates(*(values[index] for values in self))

    @staticmethod
    def joined(parts: list[Candidates]) -> Candidates:
        """All of them in one."""
        return Candidates(*(torch.cat(values) for values in zip(*parts, strict=True)))


def best_of_each(value: Tensor, counts: Tensor | None, batch: int, width: int) -> tuple[Tensor, Tensor]:
    """Places of the highest values of each prompt, best first.

    Args:
        value: float32 `[t]`, one prompt's values after the other's.
        counts: int64 `[batch, n]`, how many each prompt has, in n parts; None = all prompts have as many.
        batch: Prompts.
        width: Places wanted; fewer columns come back where no prompt has so many.

    Returns:
        Places int64 `[batch, w]` into `value`, and the values there, minus infinity where a prompt has no
        more.
    """
    if counts is None or batch == 1:
        table = value.view(batch, -1)  # [batch, t / batch]
        starts = torch.arange(batch, device=value.device) * table.shape[1]
    else:
        sizes = counts.sum(1)
        starts = sizes.cumsum(0) - sizes
        longest = int(sizes.max())
        table = torch.full((batch * longest,), NONE, device=value.device)
        shift = torch.arange(batch, device=value.device) * longest - starts
        table[torch.repeat_interleave(shift, sizes) + torch.arange(len(value), device=value.device)] = value
        table = table.view(batch, longest)
    width = min(width, table.shape[1])
    best, place = table.topk(width, dim=1)
    if width and value.device.type == "cpu":
        place = _first_of_equals(table, best, place)
    return (starts.unsqueeze(1) + place).clamp(max=max(len(value) - 1, 0)), best


def _first_of_equals(table: Tensor, best: Tensor, place: Tensor) -> Tensor:
    """Where equal values lie on both sides of the cut, the ones that stand first are taken."""
    last = best[:, -1:]
    cut = ((table == last).sum(1) > (best == last).sum(1)) & (last[:, 0] > NONE)
    if bool(cut.any()):
        order = table[cut].argsort(dim=1, descending=True, stable=True)
        place = place.clone()
        place[cut] = order[:, : place.shape[1]]
    return place


def ranked(prompt: Tensor, value: Tensor, tie: Tensor) -> Tensor:
    """Places by prompt, then by falling value, then by rising tie-breaker; all `[t]`."""
    order = tie.argsort(stable=True)
    order = order[value[order].argsort(descending=True, stable=True)]
    return order[prompt[order].argsort(stable=True)]


def rank_within(groups: Tensor) -> Tensor:
    """How many entries of the same group stand before each one, int64 like `groups [t]`."""
    order = groups.argsort(stable=True)
    ordered = groups[order]
    index = torch.arange(len(groups), device=groups.device)
    opens = torch.ones_like(ordered, dtype=torch.bool)
    opens[1:] = ordered[1:] != ordered[:-1]
    first = torch.where(opens, index, 0).cummax(0).values
    return torch.empty_like(index).scatter(0, order, index - first)
