"""What a decoder missed, as one vector a code: the additive part of decoding codes that stay as they are.

Does not know how the codes or the decoder were learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ROUNDS = 10  # over all positions
_RIDGE = 1.0  # rows of zeros that every code has beside its own, so that a rare code says little


def additive_part(missed: np.ndarray, codes: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Vectors whose sum over an item's codes is nearest to what was missed of it.

    Ridge regression on the codes, one position after the other with the rest held (backfitting), as additive
    quantization fits codebooks to codes that are given (Babenko and Lempitsky 2014, section 3.2).

    Args:
        missed: float ``[n, d]``, vectors less what was decoded.
        codes: int ``[n, L]``.
        sizes: Codes of each position.

    Returns:
        One float32 ``[K, d]`` a position; zeros for a code that no row has.
    """
    from scipy.sparse import csr_array

    rows, left = np.arange(len(codes)), missed.astype(np.float64)
    found = [np.zeros((size, missed.shape[1])) for size in sizes]
    members = [
        csr_array((np.ones(len(codes)), (codes[:, position], rows)), shape=(size, len(codes)))
        for position, size in enumerate(sizes)
    ]
    for _ in range(ROUNDS):
        for position, member in enumerate(members):
            left += found[position][codes[:, position]]
            counts = np.asarray(member.sum(axis=1)).reshape(-1, 1)
            found[position] = (member @ left) / (counts + _RIDGE)
            left -= found[position][codes[:, position]]
    return [vectors.astype(np.float32) for vectors in found]
