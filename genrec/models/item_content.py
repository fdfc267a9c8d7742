"""Content vectors inside an item model, and the mean of its losses.

Does not know where the vectors come from.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from genrec.errors import DataError


def checked_content(content: np.ndarray | None, num_items: int) -> np.ndarray | None:
    """Content vectors as float32 `[items, d]`.

    Raises:
        DataError: Another shape.
    """
    if content is None:
        return None
    if content.ndim != 2 or len(content) != num_items:
        raise DataError(
            "the content vectors do not fit the catalog",
            received=f"array of shape {content.shape} for {num_items} items",
            remedy="give one row per item, in the catalog's order",
        )
    return np.ascontiguousarray(content, dtype=np.float32)


def node_content(paths: np.ndarray, content: np.ndarray) -> list[np.ndarray]:
    """Mean content of the items under each node minus its parent's, level by level.

    Args:
        paths: int `[items, L]`, node of each item's prefix at each level.
        content: float `[items, d]`.

    Returns:
        One float32 `[nodes, d]` a level; the parent of the first level's nodes is the mean of all items.
    """
    vectors = content.astype(np.float64)
    above = np.broadcast_to(vectors.mean(axis=0), vectors.shape)  # [items, d]: mean under the parent
    found = []
    for nodes in paths.T:
        means = np.zeros((int(nodes.max()) + 1, vectors.shape[1]))
        np.add.at(means, nodes, vectors)
        means /= np.bincount(nodes)[:, None]
        parents = np.zeros_like(means)
        parents[nodes] = above
        found.append((means - parents).astype(np.float32))
        above = means[nodes]
    return found


def mean_loss(losses: Tensor, count: Tensor | int | None) -> Tensor:
    """Sum of losses `[n]` over a count; None = n."""
    return losses.sum() / (max(len(losses), 1) if count is None else count)
