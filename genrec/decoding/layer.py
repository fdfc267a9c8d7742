"""The children of a level's nodes, scored and bounded, of which a search picks some.

Does not know models, or what is picked.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genrec.decoding.candidates import Candidates
from genrec.decoding.item_constraints import ItemConstraints
from genrec.decoding.trie_walk import Expansion


class Layer:
    """The children of nodes with their bounds; `Candidates` are made of those that are wanted only.

    Args:
        level: The children's level.
        grown: The children.
        beams: Nodes of each prompt.
        rows: Number of each node's row, int64 `[m]`; or of a prompt's first, where they follow each other.
        constraints: What closes nodes and adds to their bounds.
        prompts: Prompt of each node, int64 `[m]`; None = `beams` a prompt, in order.

    Attributes:
        bound: float32 `[t]`, the most that an item below each child can score; minus infinity closes it.
        counts: int64 `[batch, beams]`, children of each node; None where all have the same number of places.
    """

    def __init__(
        self,
        level: int,
        grown: Expansion,
        beams: int,
        rows: int | Tensor,
        constraints: ItemConstraints,
        prompts: Tensor | None = None,
    ) -> None:
        self.level = level
        self.grown = grown
        self.beams = beams
        self.rows = rows
        self.prompts = prompts
        self.counts = None if grown.counts is None else grown.counts.view(-1, beams)
        self.bound = grown.log_prob
        if constraints.active:
            self.bound = constraints.bounds(level, self._prompt(grown.owner), grown.child, grown.log_prob)

    def _prompt(self, owner: Tensor) -> Tensor:
        return owner // self.beams if self.prompts is None else self.prompts[owner]

    def row(self, owner: Tensor) -> Tensor:
        """Number of the row of each owner."""
        return owner % self.beams + self.rows if isinstance(self.rows, int) else self.rows[owner]

    def at(self, places: Tensor) -> Candidates:
        """Some of the children, by place; arrays of the shape of `places`."""
        owner, node = self.grown.owner[places], self.grown.child[places]
        return Candidates(
            self._prompt(owner),
            torch.full_like(node, self.level),
            node,
            self.grown.log_prob[places],
            self.bound[places],
            self.row(owner),
        )
