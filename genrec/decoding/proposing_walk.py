"""Beams proposed by cheap scores, so that one pass over a large vocabulary serves the whole search.

Does not know beams' results: whatever was proposed, the search that follows is the plain one. A pass over the
head is bound by reading its weight, as long as rows are few; a beam asks for one at every level. Here a wider
beam first walks down by scores normalised over the position's tokens, which need no such pass. The rows it
made get their normalisers in one product, and the search finds most of its rows among them; the model steps
once more to those it does not find.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genrec.decoding.candidates import NONE, best_of_each, rank_within
from genrec.decoding.item_constraints import ItemConstraints
from genrec.decoding.layer import Layer
from genrec.decoding.output_head import OutputHead
from genrec.decoding.trie_walk import Expansion, TokenWalk

LEAST_WEIGHTS = 1 << 24  # of a head, from which on reading it is what a pass costs
MOST_ROWS = 64  # of all prompts' beams together, up to which it is
EXTRA = 12  # rows proposed beyond the beams, at the least; a quarter of the beams where that is more


def pays(walk: TokenWalk, batch: int, width: int) -> bool:
    """Whether proposals save more than they cost; only the time depends on it."""
    head = walk.head
    return (
        walk.normalize == "full"
        and walk.levels.device.type == "cpu"
        and not walk.levels.ends
        and walk.depth > 2
        and batch * width <= MOST_ROWS
        and isinstance(head, OutputHead)
        and head.head.weight.numel() >= LEAST_WEIGHTS
    )


class ProposingWalk:
    """A `TrieWalk` whose states are places of stored states, most of them made before they are asked for.

    Args:
        walk: The language model's walk, not begun.
        constraints: The search's.
        width: Its beams.
    """

    def __init__(self, walk: TokenWalk, constraints: ItemConstraints, width: int) -> None:
        self.walk = walk
        self.levels = walk.levels
        self.depth = walk.depth
        self.constraints = constraints
        self.width = width + max(EXTRA, width // 4)

    def begin(self, capacity: int) -> tuple[Tensor, Tensor]:
        """Reads the prompts and makes the proposed rows; see `TrieWalk.begin`."""
        states, score = self.walk.begin(capacity + (self.depth - 1) * self.width)
        batch = len(states)
        stored, real = [states[:, 0]], [torch.ones(batch, dtype=torch.bool)]
        self.proposed: list[tuple[Tensor, int, int]] = []  # nodes [batch, w], first row, first place
        nodes = torch.zeros(batch, 1, dtype=torch.long)
        scores, first, self.next_row, places_used = score.unsqueeze(1), 0, 1, batch
        for level in range(self.depth - 1):
            grown = self.walk.expand(
                level, states.flatten(0, 1), nodes.flatten(), scores.flatten(), None, "level"
            )
            layer = Layer(level, grown, nodes.shape[1], first, self.constraints)
            places, best = best_of_each(layer.bound, layer.counts, batch, self.width)
            alive = best > NONE
            if not bool(alive.any()):  # all is closed, and the search will see it too
                break
            nodes = torch.where(alive, grown.child[places], -1)  # [batch, w]
            scores = torch.where(alive, grown.log_prob[places], NONE)
            states = self.walk.step(level, nodes, layer.row(grown.owner[places]))
            self.proposed.append((nodes, self.next_row, places_used))
            first, self.next_row = self.next_row, self.next_row + nodes.shape[1]
            places_used += nodes.numel()
            stored.append(states.flatten(0, 1))
            real.append(alive.flatten())
        self.states = torch.cat(stored)  # [places, width of a state]
        known = torch.cat(real).nonzero()[:, 0]
        self.normalizer = torch.full((len(self.states),), float("nan"))
        found = self.walk.normalizers(self.states[known])
        if found is not None:
            self.normalizer[known] = found
        self.rows = torch.zeros(batch, 1, dtype=torch.long)  # the model's number of each of the search's rows
        return torch.arange(batch).view(batch, 1, 1), score

    def normalizers(self, states: Tensor) -> Tensor:
        """Those that are known, and the others in one product; see `TrieWalk.normalizers`."""
        places = states[:, 0]
        missing = places[self.normalizer[places].isnan()]
        if len(missing):
            found = self.walk.normalizers(self.states[missing])
            if found is not None:
                self.normalizer[missing] = found
        return self.normalizer[places]

    def expand(
        self, level: int, states: Tensor, nodes: Tensor, scores: Tensor, normalizers: Tensor | None
    ) -> Expansion:
        """Children of stored states; see `TrieWalk.expand`."""
        return self.walk.expand(level, self.states[states[:, 0]], nodes, scores, normalizers)

    def step(self, levels: Tensor | int, nodes: Tensor, parents: Tensor) -> Tensor:
        """Rows that were proposed, and steps to the others; see `TrieWalk.step`."""
        parents = self.rows.gather(1, parents)
        rows, places = torch.zeros_like(nodes), torch.zeros_like(nodes)
        missing = torch.ones_like(nodes, dtype=torch.bool)
        if isinstance(levels, int):
            proposed, first_row, first_place = self.proposed[levels]
            equal = nodes.unsqueeze(2) == proposed.unsqueeze(1)  # [batch, n, w]
            missing = ~equal.any(2) & (nodes >= 0)
            which = equal.long().argmax(2)
            rows = which + first_row
            start = torch.arange(len(nodes)).unsqueeze(1) * proposed.shape[1] + first_place
            places = which + start
        if bool(missing.any()):
            self._make(levels, nodes, parents, missing, rows, places)
        self.rows = torch.cat([self.rows, rows], dim=1)
        return places.unsqueeze(-1)

    def _make(
        self,
        levels: Tensor | int,
        nodes: Tensor,
        parents: Tensor,
        missing: Tensor,
        rows: Tensor,
        places: Tensor,
    ) -> None:
        """Steps to rows that are not there, and writes down where they are."""
        prompt, column = missing.nonzero(as_tuple=True)
        rank = rank_within(prompt)
        shape = (len(nodes), int(rank.max()) + 1)

        def table(values: Tensor, fill: int) -> Tensor:
            return torch.full(shape, fill).index_put((prompt, rank), values[prompt, column])

        of_level = levels if isinstance(levels, int) else table(levels, 0)
        made = self.walk.step(of_level, table(nodes, -1), table(parents, 0))[prompt, rank]
        rows[prompt, column] = rank + self.next_row
        places[prompt, column] = torch.arange(len(made)) + len(self.states)
        self.next_row += shape[1]
        self.states = torch.cat([self.states, made])
        self.normalizer = torch.cat([self.normalizer, torch.full((len(made),), float("nan"))])

    def keep(self, prompts: Tensor) -> None:
        """See `TrieWalk.keep`."""
        self.walk.keep(prompts)
        self.rows = self.rows[prompts]
