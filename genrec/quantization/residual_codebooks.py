"""`ResidualCodebooks`: the arithmetic of residual codes over given codebooks, in float64.

Does not know how the codebooks were learned, nor in which space they lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TOLERANCE = 1e-9  # share of the vectors' squared length within which two codes count as equally near


class ResidualCodebooks:
    """Codebooks of all positions: position p quantizes what the positions before it left over.

    Args:
        codebooks: One ``[K_p, d]`` array a position.
    """

    def __init__(self, codebooks: Sequence[np.ndarray]) -> None:
        self.codebooks = [np.asarray(codebook, dtype=np.float64) for codebook in codebooks]

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of ``[n, d]``: greedily the nearest code, of equally near ones the lowest.

        Distances are float64 and compared with a tolerance, so that no rounding of a matrix product, which
        may differ with the rows beside it, decides between two codes.
        """
        codes = np.empty((len(vectors), len(self.codebooks)), dtype=np.int32)
        residual = vectors
        for position, codebook in enumerate(self.codebooks):
            codes[:, position] = nearest(residual, codebook)
            residual = residual - codebook[codes[:, position]]
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Sum of the codes' vectors, float64 ``[n, d]``, of ``[n, l]`` codes (a prefix is allowed)."""
        total = np.zeros((len(codes), self.codebooks[0].shape[1]))
        for position in range(codes.shape[1]):
            total += self.codebooks[position][codes[:, position]]
        return total

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]`` to each ID with the last code replaced by each value."""
        residual = vectors - self.decode(codes[:, :-1])
        return squared_distances(residual, self.codebooks[-1]).astype(np.float32)

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]`` to what the prefixes ``[m, L - 1]`` decode to."""
        return squared_distances(vectors, self.decode(prefixes)).astype(np.float32)


def nearest(vectors: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Row of the nearest point for each vector, int64 ``[n]``; of equally near ones the first."""
    distances = squared_distances(vectors, points)  # [n, K]
    lengths = np.einsum("nd,nd->n", vectors, vectors)
    slack = _TOLERANCE * (lengths + np.einsum("kd,kd->k", points, points).max())
    return np.asarray(np.argmax(distances <= (distances.min(axis=1) + slack)[:, None], axis=1))


def squared_distances(vectors: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances float64 ``[n, m]`` between ``[n, d]`` and ``[m, d]``."""
    products = vectors @ points.T
    lengths = np.einsum("nd,nd->n", vectors, vectors)[:, None] + np.einsum("md,md->m", points, points)
    return np.asarray(np.maximum(lengths - 2.0 * products, 0.0))
