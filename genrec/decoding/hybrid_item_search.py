"""The item-level model's beam search with another opinion on the items mixed in at every level.

Does not know where the opinion comes from (content, co-occurrence, a rule), item ids or metrics.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genrec.decoding.search_result import BeamSearchResult
from genrec.decoding.trie_search import check_numbers
from genrec.errors import DecodingError, is_count
from genrec.models import ItemLevelModel
from genrec.models.trie_arrays import TrieArrays


class HybridItemSearch:
    """Searches the items of the highest `p(item) + weight * share(item)`, the shares being the other opinion.

    A prefix counts for its own probability plus the weighted shares of all items under it. So an item that
    the model gives next to nothing, such as one without any training interaction, carries its prefix through
    the beam by its share alone, and every item found has the value of the formula, not of a list cut short:
    with a beam as wide as the catalog the result is that of scoring all items.

    Args:
        model: The model; it is used in evaluation mode and left in the mode it came in.
        weight: Of the shares beside the model's probabilities.
        num_beams: Prefixes kept a level; never fewer than the `k` asked for.

    Raises:
        DecodingError: No beam, or a negative weight.
    """

    def __init__(self, model: ItemLevelModel, *, weight: float = 1.0, num_beams: int = 50) -> None:
        if not is_count(num_beams) or not weight >= 0:
            raise DecodingError(
                "a hybrid search needs a beam and a weight of at least 0",
                received=f"num_beams={num_beams}, weight={weight}",
                remedy="set num_beams to 1 or more and the weight to 0 or more",
            )
        self.model = model
        self.weight = weight
        self.num_beams = num_beams

    @torch.no_grad()
    def search(
        self, items: Tensor, lengths: Tensor, shares: Tensor, k: int, *, allowed: Tensor | None = None
    ) -> BeamSearchResult:
        """The k best items after each history.

        Args:
            items: int64 `[batch, length]`, catalog rows, oldest first, padded on the right.
            lengths: int64 `[batch]`, real items of each history, at least 1.
            shares: float `[batch, catalog]`, at least 0: the other opinion, in catalog rows.
            k: Items to return; with a catalog of fewer items the rest is filled with -1.
            allowed: bool `[batch, catalog]`, items that may be returned, in catalog rows; None = all. It
                changes no value.

        Returns:
            The mixed values are the scores (no logarithms); `best_open` is the highest value of a prefix
            that fell out of the beam, so an item that reaches it is certified.

        Raises:
            DecodingError: Shapes that do not agree, a negative share, an empty history, k below 1, or a
                score of the model's that is no number.
        """
        shape = (len(items), self.model.config.num_items)
        if items.dim() != 2 or lengths.shape != items.shape[:1] or int(lengths.min()) < 1 or not is_count(k):
            raise DecodingError(
                "a search needs histories of at least one item, and k >= 1",
                received=f"items {tuple(items.shape)}, lengths {tuple(lengths.shape)}, k={k}",
                remedy="leave empty histories out, and pass one length a history",
            )
        if tuple(shares.shape) != shape or bool((shares < 0).any()):
            raise DecodingError(
                "the shares do not fit the search",
                received=f"shape {tuple(shares.shape)}, lowest {float(shares.min()):g}; {shape} wanted",
                remedy="give every history one share of at least 0 for each item of the catalog",
            )
        if allowed is not None and (allowed.dtype != torch.bool or tuple(allowed.shape) != shape):
            raise DecodingError(
                "the filter does not fit the search",
                received=f"{allowed.dtype} of shape {tuple(allowed.shape)}; bool of {shape} wanted",
                remedy="give every history one bool for each item of the catalog",
            )
        was_training = self.model.training
        self.model.eval()
        device = self.model.device
        try:
            open_items = None if allowed is None else allowed.to(device)
            return self._search(items.to(device), lengths.to(device), shares.to(device), k, open_items)
        finally:
            self.model.train(was_training)

    def _search(
        self, items: Tensor, lengths: Tensor, shares: Tensor, k: int, allowed: Tensor | None
    ) -> BeamSearchResult:
        trie, width, batch = self.model.trie, max(self.num_beams, k), len(items)
        # running sums over the leaves: what a node's items have is a difference of two
        leaves = shares[:, trie.rows].double()  # [batch, catalog], in the order of the leaves
        below = torch.nn.functional.pad(leaves.cumsum(1), (1, 0))  # [batch, catalog + 1]
        counts = None  # the same for how many items are open
        if allowed is not None:
            counts = torch.nn.functional.pad(allowed[:, trie.rows].long().cumsum(1), (1, 0))
        first, after = leaf_ranges(trie)
        last = self.model.encode(items)[torch.arange(batch, device=items.device), lengths - 1]
        states = last.unsqueeze(1)  # [batch, 1 beam, width]
        logs = torch.zeros(batch, 1, device=items.device)
        nodes = torch.zeros(batch, 1, dtype=torch.long, device=items.device)  # the root
        path = torch.empty(batch, 1, 0, dtype=torch.long, device=items.device)  # codes so far
        best_open = torch.full((batch,), -1.0, dtype=torch.double, device=items.device)
        expanded = torch.ones(batch, dtype=torch.long, device=items.device)
        broken = torch.zeros(batch, dtype=torch.bool, device=items.device)
        for level in range(trie.length):
            beams = nodes.shape[1]
            step = self.model.step(level, states.flatten(0, 1), nodes.flatten()).view(batch, beams, -1)
            step = step + logs.unsqueeze(-1)  # [batch, beams, children]
            broken |= step.isnan().flatten(1).any(dim=1)
            places = torch.arange(step.shape[-1], device=items.device)
            children = trie.first_child(level, nodes.clamp(min=0)).unsqueeze(-1) + places
            children = children.clamp(max=len(first[level]) - 1)  # beyond a node's children: not counted
            spans = (after[level][children].flatten(1), first[level][children].flatten(1))
            mass = (below.gather(1, spans[0]) - below.gather(1, spans[1])).clamp(min=0)
            real = step.isfinite().flatten(1)  # [batch, beams * children]
            if counts is not None:
                real = real & (counts.gather(1, spans[0]) > counts.gather(1, spans[1]))
            values = (step.flatten(1).double().exp() + self.weight * mass).masked_fill(~real, -1)
            values, best = values.topk(min(width + 1, values.shape[1]), dim=1)
            if values.shape[1] > width:  # the best prefix that is dropped bounds all of them
                best_open = torch.maximum(best_open, values[:, width])
                values, best = values[:, :width], best[:, :width]  # [batch, new beams]
            parent = best // step.shape[-1]
            logs = step.flatten(1).gather(1, best)
            nodes = children.flatten(1).gather(1, best).masked_fill(values < 0, -1)
            known = nodes.clamp(min=0)
            path = torch.cat([_pick(path, parent), trie.codes(level)[known].unsqueeze(-1)], dim=-1)
            if level + 1 < trie.length:
                expanded += (nodes >= 0).sum(dim=1)
                chosen = _pick(states, parent)  # [batch, new beams, width]
                states = self.model.advance(level, chosen.flatten(0, 1), known.flatten()).view_as(chosen)
        check_numbers(broken)
        best_open = torch.where(best_open > 0, best_open, float("-inf")).float()
        if self.model.config.terminated:  # -1 behind the end of a shorter ID
            ends = torch.tensor(self.model.config.codebook_sizes[:-1], device=items.device) - 1
            path = path[..., :-1].where(path[..., :-1] < ends, -1)
        return _result(trie, nodes, values.float(), logs, path, best_open, expanded, k)


def leaf_ranges(trie: TrieArrays) -> tuple[list[Tensor], list[Tensor]]:
    """The leaves under each node: the first and the one after the last, int64 `[nodes]` a level."""
    first = [torch.arange(len(trie.rows), device=trie.rows.device)]
    after = [first[0] + 1]
    for level in range(trie.length - 1, 0, -1):
        starts = trie.get_buffer(f"starts_{level}")  # [nodes above]
        counts = trie.get_buffer(f"counts_{level}")
        first.insert(0, first[0][starts])
        after.insert(0, after[0][starts + counts - 1])
    return first, after


def _result(
    trie: TrieArrays,
    leaves: Tensor,
    values: Tensor,
    logs: Tensor,
    path: Tensor,
    best_open: Tensor,
    expanded: Tensor,
    k: int,
) -> BeamSearchResult:
    found = leaves >= 0
    rows = torch.where(found, trie.rows[leaves.clamp(min=0)], -1)
    values = values.masked_fill(~found, float("-inf"))
    logs = logs.masked_fill(~found, float("-inf"))
    # best first, equal values by catalog row: two stable sorts, the lesser key first
    order = torch.where(found, rows, len(trie.rows)).argsort(dim=1, stable=True)
    order = order.gather(1, values.gather(1, order).argsort(dim=1, descending=True, stable=True))[:, :k]
    rows, values, logs = (one.gather(1, order) for one in (rows, values, logs))
    codes = _pick(path, order).masked_fill((rows < 0).unsqueeze(-1), -1)
    missing, pad = max(k - rows.shape[1], 0), torch.nn.functional.pad
    return BeamSearchResult(
        rows=pad(rows, (0, missing), value=-1),
        scores=pad(values, (0, missing), value=float("-inf")),
        codes=pad(codes, (0, 0, 0, missing), value=-1),
        log_probs=pad(logs, (0, missing), value=float("-inf")),
        certified=pad((rows >= 0) & (values >= best_open.unsqueeze(1)), (0, missing), value=False),
        best_open=best_open,
        expanded=expanded,
    )


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """Rows of `values [batch, n, m]` by `index [batch, j]` -> `[batch, j, m]`."""
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
