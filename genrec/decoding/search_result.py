"""What a search found, what it proved, and what it took.

Does not know models or tries.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class BeamSearchResult:
    """The best items after each prompt, best first; equal scores by catalog row.

    Attributes:
        rows: int64 `[batch, k]`, catalog rows; -1 where fewer than k items were found.
        scores: float32 `[batch, k]`, what the items are ranked by: summed log-probabilities in nats, plus the
            item's bonus where there is one; minus infinity where `rows` is -1.
        codes: int64 `[batch, k, L]`, the items' Semantic IDs; -1 where `rows` is -1, and behind the end of an
            ID shorter than L.
        log_probs: float32 `[batch, k]`, the same without a bonus.
        certified: bool `[batch, k]`, whether it is proven that no item that was left out scores higher, so
            that the item stands in its true place; as far as numbers of the model's precision prove anything.
        best_open: float32 `[batch]`, an upper bound of the scores of all items that were not looked at; minus
            infinity where there is none.
        expanded: int64 `[batch]`, trie nodes that the model was run on, the root included.
    """

    rows: Tensor
    scores: Tensor
    codes: Tensor
    log_probs: Tensor
    certified: Tensor
    best_open: Tensor
    expanded: Tensor

    @property
    def proven(self) -> Tensor:
        """Whether all that was returned is certified, and all that was asked for found or proven absent.

        bool `[batch]`.
        """
        missing = (self.rows < 0).any(dim=1)
        return (self.certified | (self.rows < 0)).all(dim=1) & (~missing | self.best_open.isneginf())

    @property
    def gap(self) -> Tensor:
        """Nats by which an item that was not looked at might beat the last one returned.

        float32 `[batch]`; 0 where the list is proven.
        """
        last = self.scores.masked_fill(self.rows < 0, float("-inf"))[:, -1]
        return (self.best_open - last).clamp(min=0).masked_fill(self.proven, 0.0)
