"""The search down a trie: beams first, then, where it is asked for, best-first until the result is proven.

Does not know prompts, token ids or what kind of model walks. Along a path log-probabilities only fall, so a
node's score, with the best bonus below it, bounds every item below it: once no open node's bound is above the
k-th item's score, the k items are the best of the whole catalog.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genrec.decoding.candidates import NONE, Candidates, best_of_each, rank_within, ranked
from genrec.decoding.item_constraints import ItemConstraints
from genrec.decoding.item_pool import ItemPool
from genrec.decoding.layer import Layer
from genrec.decoding.search_result import BeamSearchResult
from genrec.decoding.trie_walk import TrieWalk
from genrec.errors import DecodingError

ROUND = 256  # most nodes a prompt expands at once in the proof
LIMIT_ROUND = 64  # the same where only items are lacking


class TrieSearch:
    """One search.

    Args:
        walk: The model behind the prompts.
        constraints: Which items may be returned.
        batch: Prompts.
        k: Items wanted.
        width: Beams.
        exact: Whether to go on after the beams until the result is proven.
        budget: Most nodes that a prompt may expand for the proof, after its beams; without `exact` a limit
            goes on until it has found what there is, by way of nodes that lead to items which are lacking.
    """

    def __init__(
        self,
        walk: TrieWalk,
        constraints: ItemConstraints,
        batch: int,
        k: int,
        *,
        width: int,
        exact: bool = False,
        budget: int = 1000,
    ) -> None:
        self.walk = walk
        self.levels = walk.levels
        self.constraints = constraints
        self.batch = batch
        self.k = k
        self.width = max(width, k)
        self.exact = exact
        self.budget = budget
        self.device = walk.levels.device
        self.pool = ItemPool(batch, k, self.levels.rows, constraints.limit)
        self.open: list[Candidates] = []
        self.best_open = torch.full((batch,), NONE, device=self.device)
        self.expanded = torch.ones(batch, dtype=torch.long, device=self.device)
        self.broken = torch.zeros(batch, dtype=torch.bool, device=self.device)  # a score was no number
        self.next_row = 1  # number of the next row of every prompt

    def run(self) -> BeamSearchResult:
        """Searches.

        Raises:
            DecodingError: The model gave a score that is no number.
        """
        result = self._run()
        check_numbers(self.broken)
        return result

    def _run(self) -> BeamSearchResult:
        goes_on = self.exact or self.constraints.limit is not None
        last = self._beams(record=goes_on)
        if last is not None and not goes_on and not self.levels.ends:
            return self._result(*self._best_of(last))
        if last is not None:
            self._take_items(last)
        if goes_on:
            self._best_first()
        return self._result(*self._pooled())

    def _beams(self, record: bool) -> Layer | None:
        """Walks down; returns the layer of whole items, None where no beam lived so long."""
        walk, batch = self.walk, self.batch
        states, scores = walk.begin((walk.depth - 1) * self.width)
        scores = scores.unsqueeze(1)  # [batch, beams]
        nodes = torch.zeros(batch, 1, dtype=torch.long, device=self.device)  # the root
        first_row, root = 0, states
        for level in range(walk.depth):
            normalizers = self._normalizers(level, states, root, scores)
            grown = walk.expand(level, states.flatten(0, 1), nodes.flatten(), scores.flatten(), normalizers)
            layer = Layer(level, grown, nodes.shape[1], first_row, self.constraints)
            if level == walk.depth - 1:
                return layer
            self._take_ended(layer)
            places, best = self._best_of_each(layer, self.width + 1)
            places, best, pruned = places[:, : self.width], best[:, : self.width], best[:, self.width :]
            alive = best > NONE
            if record:
                left = layer.bound > NONE
                left[places[alive]] = False
                self.open.append(layer.at(left.nonzero()[:, 0]))
            elif pruned.shape[1]:
                self.best_open = self.best_open.maximum(pruned[:, 0])
            may_end = (
                self.constraints.closes or self.levels.ends
            )  # else it is not worth waiting for an answer
            if not places.shape[1] or (may_end and not bool(alive.any())):
                return None
            nodes = torch.where(alive, grown.child[places], -1)  # [batch, beams]
            scores = torch.where(alive, grown.log_prob[places], NONE)
            self.expanded = self.expanded + alive.sum(1)
            states = walk.step(level, nodes, layer.row(grown.owner[places]))
            first_row, self.next_row = self.next_row, self.next_row + nodes.shape[1]
        return None

    def _best_of(self, layer: Layer) -> tuple[Tensor, Tensor, Tensor]:
        """The best k items of a layer, equal scores by catalog row: leaves, -1 for none, and their scores."""
        places, bound = self._best_of_each(layer, self.k)
        leaves = torch.where(bound > NONE, layer.grown.child[places], -1)  # [batch, k or fewer]
        order = self.levels.rows[leaves.clamp(min=0)].argsort(dim=1, stable=True)
        order = order.gather(1, bound.gather(1, order).argsort(dim=1, descending=True, stable=True))
        log_prob = layer.grown.log_prob[places].gather(1, order)
        return leaves.gather(1, order), bound.gather(1, order), log_prob

    def _pooled(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same of the pool."""
        items, rank = self.pool.chosen()
        shape, place = (self.batch, self.k), (items.prompt, rank)
        blank = torch.full(shape, NONE, device=self.device)
        leaves = torch.full(shape, -1, device=self.device).index_put(place, items.node)
        return leaves, blank.index_put(place, items.bound), blank.index_put(place, items.log_prob)

    def _take_items(self, layer: Layer) -> None:
        """Whole items go to the pool: the best k of each prompt, or all where a limit chooses among them."""
        if self.constraints.limit is not None:
            self._see_numbers(layer)
            places = (layer.bound > NONE).nonzero()[:, 0]
        else:
            places, best = self._best_of_each(layer, self.k)
            places = places[best > NONE]
        self.pool.add(layer.at(places))

    def _best_of_each(self, layer: Layer, width: int) -> tuple[Tensor, Tensor]:
        """See `best_of_each`, for which what is no number is above all numbers."""
        places, best = best_of_each(layer.bound, layer.counts, self.batch, width)
        self.broken |= best[:, :1].isnan().any(dim=1)
        return places, best

    def _see_numbers(self, layer: Layer) -> None:
        """Marks the prompts of which a score of a layer is no number."""
        self.broken[layer.at(layer.bound.isnan().nonzero()[:, 0]).prompt] = True

    def _take_ended(self, layer: Layer) -> None:
        """IDs that end here go to the pool, if nothing else is to be scored behind them, and are closed."""
        if not self.levels.ends or self.walk.depth > self.levels.length:
            return
        ended = self.levels.ended(layer.level, layer.grown.child) & (layer.bound > NONE)
        items = layer.at(ended.nonzero()[:, 0])
        self.pool.add(items._replace(node=self.levels.leaves(layer.level, items.node)[0]))
        layer.bound = layer.bound.masked_fill(ended, NONE)

    def _normalizers(self, level: int, states: Tensor, root: Tensor, scores: Tensor) -> Tensor | None:
        """Of the level's states; the root's waits for the next level, as one product serves both."""
        if level == 0 and self.walk.depth > 1:
            return None
        flat = states.flatten(0, 1)
        if level != 1:
            return self.walk.normalizers(flat)
        both = self.walk.normalizers(torch.cat([root[:, 0], flat]))
        if both is None:
            return None
        late, normalizers = both[: self.batch], both[self.batch :]
        scores -= late.unsqueeze(1)
        self.best_open -= late
        self.open = [
            part._replace(log_prob=part.log_prob - late[part.prompt], bound=part.bound - late[part.prompt])
            for part in self.open
        ]
        return normalizers

    def _best_first(self) -> None:
        """Expands open nodes in rounds, deepest first, for all prompts that are not done."""
        self.wanted = torch.full((self.batch,), self.k, device=self.device)
        if self.constraints.limit is not None:
            for place in (self.pool.counts() < self.k).nonzero()[:, 0].tolist():
                self.wanted[place] = min(self.k, self.constraints.reachable(place))
        open_ = Candidates.joined(self.open) if self.open else None
        spent = torch.zeros_like(self.wanted)
        slots = torch.arange(self.batch, device=self.device)  # the walk's place of each prompt
        size = self.batch  # prompts the walk goes on with
        while open_ is not None:
            open_ = self._worth(open_)
            chosen = self._chosen(open_, spent)
            if not len(chosen):
                break
            batch = open_.at(chosen)
            active = batch.prompt.unique()
            if 2 * len(active) <= size:  # most are done: the others go on without them
                self.walk.keep(slots[active])
                slots, size = torch.full_like(slots, -1), len(active)
                slots[active] = torch.arange(size, device=self.device)
            spent = spent + torch.bincount(batch.prompt, minlength=self.batch)
            left = torch.ones(len(open_.prompt), dtype=torch.bool, device=self.device)
            left[chosen] = False
            open_ = Candidates.joined([open_.at(left), *self._expand(batch, slots, size)])
        self.expanded = self.expanded + spent
        if open_ is not None:
            self.best_open = self.best_open.scatter_reduce(0, open_.prompt, open_.bound, "amax")

    def _worth(self, open_: Candidates) -> Candidates:
        """The nodes that may still change the result."""
        worth = open_.bound > self.pool.thresholds(self.wanted)[open_.prompt]
        if not self.exact:  # it is enough to find as many as were wanted
            worth |= True
        return open_.at(worth)

    def _chosen(self, open_: Candidates, spent: Tensor) -> Tensor:
        """Places of the nodes of the next round, by prompt."""
        if not len(open_.prompt):
            return open_.prompt
        order = ranked(open_.prompt, open_.level.float(), ranked_place(open_))
        left = (self.budget - spent).clamp(max=ROUND)
        if not self.exact:
            done = self.pool.counts() >= self.wanted
            left = torch.where(done, 0, LIMIT_ROUND)
            order = order[self._grows(open_, ~done)[order]]
        prompt = open_.prompt[order]
        return order[rank_within(prompt) < left[prompt]]

    def _grows(self, open_: Candidates, lacking: Tensor) -> Tensor:
        """Which nodes lead to an item by which the list of a prompt grows, bool like `open_`.

        Not those below which all items have values of which the prompt has its most: where a value is rare,
        the search goes down to its few items and not through the whole trie.

        Args:
            open_: Nodes.
            lacking: bool `[batch]`, prompts whose lists are to grow.
        """
        grows = torch.zeros_like(open_.prompt, dtype=torch.bool)
        for place in lacking.nonzero()[:, 0].tolist():
            counts = torch.from_numpy(self.constraints.lacking(place, self.pool.full(place)))
            counts = counts.to(self.device)  # [leaves + 1]
            own = open_.prompt == place
            for level in open_.level[own].unique().tolist():
                here = (own & (open_.level == level)).nonzero()[:, 0]
                first, end = self._leaves(level, open_.node[here])
                grows[here] = counts[end] > counts[first]
        return grows

    def _leaves(self, level: int, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Leaves below nodes; what follows an ID stands below its leaf."""
        if level >= self.levels.length:
            return nodes, nodes + 1
        return self.levels.leaves(level, nodes)

    def _expand(self, batch: Candidates, slots: Tensor, size: int) -> list[Candidates]:
        """Steps to nodes and looks at their children: items go to the pool, open nodes come back."""
        slot, place = slots[batch.prompt], rank_within(batch.prompt)
        shape = (size, int(place.max()) + 1)
        tables = [
            torch.full(shape, fill, device=self.device).index_put((slot, place), values)
            for values, fill in ((batch.level, 0), (batch.node, -1), (batch.row, 0))
        ]
        states = self.walk.step(*tables)[slot, place]  # [m, width]
        rows = place + self.next_row
        self.next_row += shape[1]
        normalizers = self.walk.normalizers(states)
        found = []
        for level in batch.level.unique().tolist():
            here = (batch.level == level).nonzero()[:, 0]
            own = None if normalizers is None else normalizers[here]
            grown = self.walk.expand(level + 1, states[here], batch.node[here], batch.log_prob[here], own)
            layer = Layer(level + 1, grown, 1, rows[here], self.constraints, batch.prompt[here])
            self._see_numbers(layer)
            if level + 1 == self.walk.depth - 1:
                self.pool.add(layer.at((layer.bound > NONE).nonzero()[:, 0]))
            else:
                self._take_ended(layer)
                found.append(layer.at((layer.bound > NONE).nonzero()[:, 0]))
        return found

    def _result(self, leaves: Tensor, bound: Tensor, log_prob: Tensor) -> BeamSearchResult:
        """From leaves `[batch, n]`, -1 for none, best first, and their scores."""
        missing = (0, self.k - leaves.shape[1])
        leaves = torch.nn.functional.pad(leaves, missing, value=-1)
        found, known = leaves >= 0, leaves.clamp(min=0)
        scores = torch.nn.functional.pad(bound, missing, value=NONE)
        log_prob = torch.nn.functional.pad(log_prob, missing, value=NONE).masked_fill(~found, NONE)
        return BeamSearchResult(
            torch.where(found, self.levels.rows[known].long(), -1),
            scores,
            self.levels.leaf_codes(known).masked_fill(~found.unsqueeze(-1), -1),
            log_prob,
            found & (scores >= self.best_open.unsqueeze(1)),
            self.best_open,
            self.expanded,
        )


def check_numbers(broken: Tensor) -> None:
    """Refuses to rank by what is no number.

    Args:
        broken: bool `[batch]`, the prompts of which a score was none.

    Raises:
        DecodingError: Any is.
    """
    if bool(broken.any()):
        raise DecodingError(
            "the model gave a score that is no number (NaN), by which nothing can be ranked",
            received=f"{int(broken.sum())} of {len(broken)} prompts, the first is number "
            f"{int(broken.int().argmax())} of its batch",
            remedy="check the weights for NaN, as a training that diverged leaves them, or load the model "
            "in bfloat16 or float32 in place of float16",
        )


def ranked_place(open_: Candidates) -> Tensor:
    """Place of each node in the order of falling bounds, ties by node."""
    order = ranked(torch.zeros_like(open_.prompt), open_.bound, open_.node)
    return torch.empty_like(order).scatter(0, order, torch.arange(len(order), device=order.device))
