"""Which of the IDs that are taken already bear on where a few new items go.

Does not know items, vectors or quantizers; it is a pure function over arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def bearing_ids(native: np.ndarray, taken: np.ndarray, codebook_sizes: Sequence[int]) -> np.ndarray:
    """The taken IDs under the new items' prefixes, where there is room for all of them; else every taken ID.

    An item whose prefix has a free last code never leaves it, so the IDs of other prefixes cannot matter, and
    placing a thousand items beside a million looks at a few thousand IDs. Where a prefix is overfull, items
    spill to others, and all IDs count.

    Args:
        native: int ``[n, l]``, native codes of the new items, l at least L - 1.
        taken: int ``[t, L]``, IDs that other items have, all different.
        codebook_sizes: Codes of the L positions.

    Returns:
        int ``[<= t, L]``, in the order of `taken`.
    """
    prefix = len(codebook_sizes) - 1
    wanted, counts = np.unique(_keys(native[:, :prefix], codebook_sizes), return_counts=True)
    keys = _keys(taken[:, :prefix], codebook_sizes)
    place = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1) if len(wanted) else keys
    near = wanted[place] == keys if len(wanted) else np.zeros(len(taken), dtype=bool)
    crowd = counts + np.bincount(place[near].astype(np.int64), minlength=len(counts))
    return taken[near] if (crowd <= codebook_sizes[-1]).all() else taken


def _keys(prefixes: np.ndarray, codebook_sizes: Sequence[int]) -> np.ndarray:
    """A number for each prefix, uint64 ``[n]``: equal prefixes have one, beyond 2**64 some others too."""
    keys = np.zeros(len(prefixes), dtype=np.uint64)
    for position in range(prefixes.shape[1]):
        keys = keys * np.uint64(codebook_sizes[position]) + prefixes[:, position].astype(np.uint64)
    return keys
