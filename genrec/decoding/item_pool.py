"""The items a search has found so far, and which of them would be returned now.

Does not know models or nodes that are still open.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genrec.decoding.candidates import NONE, Candidates, rank_within, ranked
from genrec.decoding.item_constraints import GroupLimit


class ItemPool:
    """The best items of each prompt; of those that can no longer be returned, none is kept.

    Args:
        batch: Prompts.
        k: Items wanted.
        rows: int `[leaves]`, catalog row of each leaf, which breaks ties.
        limit: At most so many items of a label; labels by leaf.
    """

    def __init__(self, batch: int, k: int, rows: Tensor, limit: GroupLimit | None) -> None:
        self.batch = batch
        self.k = k
        self.rows = rows
        self.most = 0 if limit is None else limit.most
        self.labels = None if limit is None else torch.as_tensor(limit.labels, device=rows.device)
        whole = torch.zeros(0, dtype=torch.long, device=rows.device)
        real = torch.zeros(0, device=rows.device)
        self.items = Candidates(whole, whole, whole, real, real, whole)

    def add(self, found: Candidates) -> None:
        """Takes leaves."""
        found = found.at(found.bound > NONE)
        together = Candidates.joined([self.items, found])
        together = together.at(ranked(together.prompt, together.bound, self.rows[together.node]))
        self.items = together.at(self._kept(together))

    def _kept(self, items: Candidates) -> Tensor:
        """The best k, or the best `most` of every label: they beat the others wherever those might stand."""
        if self.labels is None:
            return rank_within(items.prompt) < self.k
        label = self.labels[items.node]
        free = label < 0
        groups = items.prompt * (int(label.max()) + 2 if len(label) else 1) + label + 1
        within = rank_within(groups)
        return torch.where(free, within < self.k, within < self.most)

    def chosen(self) -> tuple[Candidates, Tensor]:
        """What would be returned now, by prompt and rank, and the rank of each, int64."""
        rank = rank_within(self.items.prompt)
        return self.items.at(rank < self.k), rank[rank < self.k]

    def counts(self) -> Tensor:
        """Items that would be returned now, int64 `[batch]`."""
        return torch.bincount(self.chosen()[0].prompt, minlength=self.batch)

    def full(self, prompt: int) -> np.ndarray:
        """Labels of which a prompt has as many items as it may have, int64; none without a limit."""
        if self.labels is None:
            return np.empty(0, dtype=np.int64)
        labels = self.labels[self.items.node[self.items.prompt == prompt]].cpu().numpy()
        values, counts = np.unique(labels[labels >= 0], return_counts=True)
        full: np.ndarray = values[counts >= self.most]
        return full

    def thresholds(self, wanted: Tensor) -> Tensor:
        """Score of the last of `wanted [batch]` items, float32 `[batch]`; minus infinity where one lacks."""
        items, rank = self.chosen()
        found = torch.full((self.batch,), NONE, device=items.bound.device)
        last = rank == wanted[items.prompt] - 1
        return found.index_put((items.prompt[last],), items.bound[last])
