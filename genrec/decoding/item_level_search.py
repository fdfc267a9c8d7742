"""The same search with the item-level model: histories of catalog rows in, scored catalog rows out.

Does not know item ids or metrics. The trie is the model's own, so only real items come out, each once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genrec.catalog import CatalogTrie
from genrec.decoding.beam_search import in_evaluation_mode
from genrec.decoding.item_constraints import Allowed, Bonus, GroupLimit, ItemConstraints
from genrec.decoding.item_scores import score_rows
from genrec.decoding.search_result import BeamSearchResult
from genrec.decoding.trie_levels import TrieLevels
from genrec.decoding.trie_search import TrieSearch
from genrec.decoding.trie_walk import Expansion
from genrec.errors import DecodingError, is_count
from genrec.models import ItemLevelModel


class ItemLevelWalk:
    """The item-level model's `TrieWalk`.

    Args:
        model: The model.
        levels: Its trie.
        items: int64 `[batch, length]`, catalog rows, padded on the right.
        lengths: int64 `[batch]`.
    """

    def __init__(self, model: ItemLevelModel, levels: TrieLevels, items: Tensor, lengths: Tensor) -> None:
        self.model = model
        self.levels = levels
        self.depth = levels.length
        self.items = items
        self.lengths = lengths
        self.states: Tensor | None = None  # [batch, rows, width], of all rows so far

    def begin(self, capacity: int) -> tuple[Tensor, Tensor]:
        """Reads the histories; see `TrieWalk.begin`."""
        batch = torch.arange(len(self.items), device=self.items.device)
        if self.states is None:
            self.states = self.model.encode(self.items)[batch, self.lengths - 1].unsqueeze(1)
        self.states = self.states[:, :1]
        return self.states, torch.zeros(len(batch), device=self.items.device)

    def normalizers(self, states: Tensor) -> None:
        """Nothing: the model normalises over a node's children."""

    def expand(
        self, level: int, states: Tensor, nodes: Tensor, scores: Tensor, normalizers: Tensor | None
    ) -> Expansion:
        """Children and their log-probabilities; see `TrieWalk.expand`."""
        log_probs = self.model.step(level, states, nodes) + scores.unsqueeze(-1)  # [m, most children]
        owner, child, counts = self.levels.expand(level, nodes)
        first = self.levels.indptr[level][nodes.clamp(min=0)].long()
        return Expansion(owner, child, log_probs[owner, child - first[owner]], counts)

    def step(self, levels: Tensor | int, nodes: Tensor, parents: Tensor) -> Tensor:
        """The state after each node; see `TrieWalk.step`."""
        assert self.states is not None
        known = self.states
        parent = known.gather(1, parents.unsqueeze(-1).expand(-1, -1, known.shape[-1])).flatten(0, 1)
        if isinstance(levels, int):
            states = self.model.advance(levels, parent, nodes.flatten().clamp(min=0))
        else:
            states, of_level = torch.empty_like(parent), levels.flatten()
            for level in of_level.unique().tolist():
                here = of_level == level
                nodes_here = nodes.flatten()[here].clamp(min=0)
                states[here] = self.model.advance(level, parent[here], nodes_here)
        states = states.view(*nodes.shape, -1)  # [batch, n, width]
        self.states = torch.cat([known, states], dim=1)
        return states

    def keep(self, prompts: Tensor) -> None:
        """See `TrieWalk.keep`."""
        assert self.states is not None
        self.states = self.states[prompts]


class ItemLevelSearch:
    """Trie-constrained search; the states of all beams of a level are scored at once.

    Args:
        model: The model; it is used in evaluation mode and left in the mode it came in.
        num_beams: Prefixes kept a level; never fewer than the `k` asked for. As many as there are items makes
            the search exhaustive.

    Raises:
        DecodingError: No beam.
    """

    def __init__(self, model: ItemLevelModel, *, num_beams: int = 50) -> None:
        if not is_count(num_beams):
            raise DecodingError(
                "a search needs a beam", received=num_beams, remedy="set num_beams to 1 or more"
            )
        self.model = model
        self.num_beams = num_beams
        self.trie = _trie_of(model)

    @torch.no_grad()
    def search(
        self,
        items: Tensor,
        lengths: Tensor,
        k: int,
        *,
        allowed: Allowed = None,
        exclude: Sequence[Sequence[int] | np.ndarray] | None = None,
        bonus: Bonus = None,
        limit: GroupLimit | None = None,
        exact: bool = False,
        budget: int = 1000,
    ) -> BeamSearchResult:
        """The k best items after each history.

        Args:
            items: int64 `[batch, length]`, catalog rows, oldest first, padded on the right.
            lengths: int64 `[batch]`, real items of each history, at least 1.
            k: Items to return; where fewer are allowed the rest is filled with -1.
            allowed: See `ConstrainedBeamSearch.search`, as for the other arguments.
            exclude: Catalog rows that may not be returned, a list for each history.
            bonus: A number for each catalog row, added to the item's log-probability to rank it.
            limit: At most so many items of each value of an attribute; without `exact` no budget holds.
            exact: Go on after the beams until the result is proven.
            budget: Most trie nodes a history may expand for the proof.

        Raises:
            DecodingError: Shapes that do not agree, an empty history, k below 1, a negative budget, or
                constraints that do not fit the batch.
            SemanticIdError: A mask or a bonus that does not fit the catalog.
        """
        self._check(items, lengths, k, budget)
        batch, device = len(items), self.model.device

        def run() -> BeamSearchResult:
            levels = TrieLevels.of(self.trie, device)
            constraints = ItemConstraints(
                self.trie, levels, batch, allowed=allowed, exclude=exclude, bonus=bonus, limit=limit
            )
            walk = ItemLevelWalk(self.model, levels, items.to(device), lengths.to(device))
            width = self.num_beams
            return TrieSearch(walk, constraints, batch, k, width=width, exact=exact, budget=budget).run()

        return in_evaluation_mode(self.model, run)

    @torch.no_grad()
    def score(self, items: Tensor, lengths: Tensor, rows: Tensor | None = None) -> Tensor:
        """Log-probabilities of given items after each history; see `ConstrainedBeamSearch.score`."""
        self._check(items, lengths, 1, 0)
        device = self.model.device

        def run() -> Tensor:
            levels = TrieLevels.of(self.trie, device)
            walk = ItemLevelWalk(self.model, levels, items.to(device), lengths.to(device))
            return score_rows(walk, self.trie, len(items), rows)

        return in_evaluation_mode(self.model, run)

    def _check(self, items: Tensor, lengths: Tensor, k: int, budget: int) -> None:
        shaped = items.dim() == 2 and lengths.shape == items.shape[:1] and len(items) > 0
        if not shaped or int(lengths.min()) < 1 or not is_count(k) or not is_count(budget, 0):
            raise DecodingError(
                "a search needs histories of at least one item, k >= 1 and a budget of at least 0",
                received=f"items {tuple(items.shape)}, lengths {tuple(lengths.shape)}, {k=}, {budget=}",
                remedy="leave empty histories out, and pass one length a history",
            )


def _trie_of(model: ItemLevelModel) -> CatalogTrie:
    """The trie in a model's buffers."""
    trie, above, codes, indptr = model.trie, 1, [], []
    for level in range(trie.length):
        codes.append(trie.codes(level).cpu().numpy())
        first = trie.first_child(level, torch.arange(above, device=model.device)).cpu().numpy()
        above = len(codes[-1])
        indptr.append(np.append(first, above).astype(np.int32))
    sizes, terminated = tuple(int(size) for size in model.config.codebook_sizes), model.config.terminated
    if terminated:  # the model counts the terminators among the codes
        sizes = tuple(size - 1 for size in sizes[:-1])
    rows = trie.rows.cpu().numpy().astype(np.int32)
    return CatalogTrie(sizes, tuple(codes), tuple(indptr), rows, terminated)
