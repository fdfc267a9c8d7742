"""The tokens that lead to each row of a search, for models that decode every row's text on its own.

Does not know models or prompts.
"""

from __future__ import annotations

import torch
from torch import Tensor


class RowPaths:
    """Paths of all rows of a batch; row 0 has none.

    Args:
        batch: Prompts.
        device: Where tokens are.

    Attributes:
        tokens: int64 `[batch, rows, longest]`, each row's tokens from the first on; 0 behind its own.
        depth: int64 `[batch, rows]`, tokens of each.
        before: Number of the first row of the last step.
    """

    def __init__(self, batch: int, device: torch.device) -> None:
        self.tokens = torch.zeros(batch, 1, 0, dtype=torch.long, device=device)
        self.depth = torch.zeros(batch, 1, dtype=torch.long, device=device)
        self.before = 0

    def add(self, tokens: Tensor, parent: Tensor) -> tuple[Tensor, Tensor]:
        """Appends rows.

        Args:
            tokens: int64 `[batch, new]`.
            parent: int64 `[batch, new]`, numbers of the rows they continue.

        Returns:
            Paths of the new rows `[batch, new, longest of them]` and their depths `[batch, new]`.
        """
        self.before = self.depth.shape[1]
        depth = self.depth.gather(1, parent) + 1
        longest = int(depth.max())
        missing = max(longest - self.tokens.shape[-1], 0)
        known = torch.nn.functional.pad(self.tokens, (0, missing))  # [batch, rows, longest]
        paths = known.gather(1, parent.unsqueeze(-1).expand(-1, -1, known.shape[-1]))
        paths = paths.scatter(2, (depth - 1).unsqueeze(-1), tokens.unsqueeze(-1))
        self.tokens = torch.cat([known, paths], dim=1)
        self.depth = torch.cat([self.depth, depth], dim=1)
        return paths[..., :longest], depth

    def keep(self, prompts: Tensor) -> None:
        """Goes on with the prompts `prompts [m]`, in this order."""
        self.tokens, self.depth = self.tokens[prompts], self.depth[prompts]

    def truncate(self, rows: int) -> None:
        """Forgets the rows from number `rows` on."""
        self.tokens, self.depth = self.tokens[:, :rows], self.depth[:, :rows]
