"""Which items one reply may still name, and which nodes of the trie lead to one of them.

Does not know tokens or models.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genrec.decoding.trie_tables import TrieTables
from genrec.errors import DecodingError


def leaf_bounds(tables: TrieTables) -> tuple[Tensor, ...]:
    """Per level int64 `[nodes + 1]`: node i leads to the leaves `bounds[i] : bounds[i + 1]`."""
    bounds = [torch.arange(tables.num_items + 1, device=tables.device)]
    for indptr in reversed(tables.levels.indptr[1:]):
        bounds.append(bounds[-1][indptr])
    return tuple(reversed(bounds))


class OpenItems:
    """The items that are open; closing one closes the nodes that lead to no other.

    Args:
        tables: The trie.
        bounds: Its `leaf_bounds`.
        allowed: bool `[catalog rows]`, None = all.
        exclude: Catalog rows that are closed.

    Raises:
        DecodingError: A mask that is shorter than the catalog.
    """

    def __init__(
        self,
        tables: TrieTables,
        bounds: tuple[Tensor, ...],
        allowed: Tensor | None = None,
        exclude: Sequence[int] = (),
    ) -> None:
        self.bounds = bounds
        open_leaves = torch.ones(tables.num_items, dtype=torch.bool, device=tables.device)
        if allowed is not None:
            rows = int(tables.levels.rows.max()) + 1
            if allowed.dim() != 1 or len(allowed) < rows:
                raise DecodingError(
                    "a mask of allowed items needs an entry for every row of the catalog",
                    received=f"shape {tuple(allowed.shape)} for {rows} rows",
                    remedy="pass one bool a catalog row",
                )
            open_leaves = allowed.to(tables.device).bool()[tables.levels.rows]
        if len(exclude):
            closed = torch.as_tensor(list(exclude), device=tables.device)
            open_leaves = open_leaves & ~torch.isin(tables.levels.rows, closed)
        # open leaves among the first i, [leaves + 1]
        self.before = torch.nn.functional.pad(open_leaves.cumsum(0, dtype=torch.int32), (1, 0))

    def leads(self, level: int, nodes: Tensor) -> Tensor:
        """Whether nodes of a level lead to an open item, bool of the shape of `nodes`."""
        bounds = self.bounds[level]
        return self.before[bounds[nodes + 1]] > self.before[bounds[nodes]]

    def close(self, leaf: int) -> None:
        """Closes an open item."""
        self.before[leaf + 1 :] -= 1
