"""Beam search with the item-level model: histories of catalog rows in, scored catalog rows out.

Does not know item ids or metrics. The trie is the model's own, so only real items come out, each once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genrec.decoding.beam_search import BeamSearchResult
from genrec.errors import DecodingError
from genrec.models import ItemLevelModel


class ItemLevelSearch:
    """Trie-constrained beam search; the states of all beams of a level are scored at once.

    Args:
        model: The model; it is used in evaluation mode and left in the mode it came in.
        num_beams: Prefixes kept a level; never fewer than the `k` asked for. As many as there are items makes
            the search exhaustive.

    Raises:
        DecodingError: No beam.
    """

    def __init__(self, model: ItemLevelModel, *, num_beams: int = 50) -> None:
        if num_beams < 1:
            raise DecodingError(
                "a search needs a beam", received=num_beams, remedy="set num_beams to 1 or more"
            )
        self.model = model
        self.num_beams = num_beams

    @torch.no_grad()
    def search(self, items: Tensor, lengths: Tensor, k: int) -> BeamSearchResult:
        """The k best items after each history.

        Args:
            items: int64 `[batch, length]`, catalog rows, oldest first, padded on the right.
            lengths: int64 `[batch]`, real items of each history, at least 1.
            k: Items to return; with a catalog of fewer items the rest is filled with -1.

        Raises:
            DecodingError: Shapes that do not agree, an empty history, or k below 1.
        """
        if items.dim() != 2 or lengths.shape != items.shape[:1] or int(lengths.min()) < 1 or k < 1:
            raise DecodingError(
                "a search needs histories of at least one item, and k >= 1",
                received=f"items {tuple(items.shape)}, lengths {tuple(lengths.shape)}, k={k}",
                remedy="leave empty histories out, and pass one length a history",
            )
        was_training = self.model.training
        self.model.eval()
        try:
            return self._search(items.to(self.model.device), lengths.to(self.model.device), k)
        finally:
            self.model.train(was_training)

    def _search(self, items: Tensor, lengths: Tensor, k: int) -> BeamSearchResult:
        trie, width, batch = self.model.trie, max(self.num_beams, k), len(items)
        last = self.model.encode(items)[torch.arange(batch, device=items.device), lengths - 1]
        states = last.unsqueeze(1)  # [batch, 1 beam, width]
        scores = torch.zeros(batch, 1, device=items.device)
        nodes = torch.zeros(batch, 1, dtype=torch.long, device=items.device)  # the root
        path = torch.empty(batch, 1, 0, dtype=torch.long, device=items.device)  # codes so far
        for level in range(trie.length):
            beams = nodes.shape[1]
            log_probs = self.model.step(level, states.flatten(0, 1), nodes.flatten())  # [batch * beams, c]
            flat = (scores.unsqueeze(-1) + log_probs.view(batch, beams, -1)).flatten(1)  # [batch, beams * c]
            scores, best = flat.topk(min(width, flat.shape[1]), dim=1)  # [batch, new beams]
            parent, place = best // log_probs.shape[-1], best % log_probs.shape[-1]
            above = nodes.gather(1, parent).clamp(min=0)
            nodes = (trie.first_child(level, above) + place).masked_fill(scores.isinf(), -1)
            known = nodes.clamp(min=0)
            path = torch.cat([_pick(path, parent), trie.codes(level)[known].unsqueeze(-1)], dim=-1)
            if level + 1 < trie.length:
                chosen = _pick(states, parent)  # [batch, new beams, width]
                states = self.model.advance(level, chosen.flatten(0, 1), known.flatten()).view_as(chosen)
        return self._result(nodes, scores, path, k)

    def _result(self, leaves: Tensor, scores: Tensor, path: Tensor, k: int) -> BeamSearchResult:
        trie, found = self.model.trie, leaves >= 0
        rows = torch.where(found, trie.rows[leaves.clamp(min=0)], -1)
        # best first, equal scores by catalog row: two stable sorts, the lesser key first
        order = torch.where(found, rows, len(trie.rows)).argsort(dim=1, stable=True)
        order = order.gather(1, scores.gather(1, order).argsort(dim=1, descending=True, stable=True))[:, :k]
        rows, scores = rows.gather(1, order), scores.gather(1, order)
        codes = _pick(path, order).masked_fill((rows < 0).unsqueeze(-1), -1)
        missing = max(k - rows.shape[1], 0)
        return BeamSearchResult(
            torch.nn.functional.pad(rows, (0, missing), value=-1),
            torch.nn.functional.pad(scores, (0, missing), value=float("-inf")),
            torch.nn.functional.pad(codes, (0, 0, 0, missing), value=-1),
        )


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """Rows of `values [batch, n, m]` by `index [batch, j]` -> `[batch, j, m]`."""
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
