"""`ResidualCodebooks`: the arithmetic of residual codes over given codebooks.

Does not know how the codebooks were learned, nor in which space they lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TOLERANCE = 1e-9  # share of the vectors' squared length within which two codes count as equally near
_ROUNDING = 2.0**-24  # of one float32 operation


class ResidualCodebooks:
    """Codebooks of all positions: position p quantizes what the positions before it left over.

    Args:
        codebooks: One ``[K_p, d]`` array a position.
        prices: One ``[K_p]`` array a position: what a code costs beside the squared distance; None = nothing.
    """

    def __init__(self, codebooks: Sequence[np.ndarray], prices: Sequence[np.ndarray] | None = None) -> None:
        self.codebooks = [np.asarray(codebook, dtype=np.float64) for codebook in codebooks]
        given = prices or [np.zeros(len(codebook)) for codebook in self.codebooks]
        self.prices = [np.asarray(price, dtype=np.float64) for price in given]
        self._rough = [np.asarray(codebook, dtype=np.float32) for codebook in self.codebooks]

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of ``[n, d]``: greedily the nearest code, of equally near ones the lowest.

        Distances are computed in float32; where rounding could decide between two codes they are computed
        again in float64 and compared with a tolerance. So no code depends on the rows beside it, though the
        rounding of a matrix product does.
        """
        codes = np.empty((len(vectors), len(self.codebooks)), dtype=np.int32)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows float32 goes the way of float64
            residual = vectors.astype(np.float32)
            lengths = np.sqrt(np.einsum("nd,nd->n", residual, residual))
            for position, (codebook, price) in enumerate(zip(self._rough, self.prices, strict=True)):
                chosen, sure = _nearest_roughly(residual, codebook, price, lengths)
                unsure = np.flatnonzero(~sure)
                if len(unsure):
                    left = vectors[unsure] - self.decode(codes[unsure, :position])
                    chosen[unsure] = nearest(left, self.codebooks[position], price)
                codes[:, position] = chosen
                if position + 1 < len(self.codebooks):
                    residual -= codebook[chosen]
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Sum of the codes' vectors, float64 ``[n, d]``, of ``[n, l]`` codes (a prefix is allowed)."""
        total = np.zeros((len(codes), self.codebooks[0].shape[1]))
        for position in range(codes.shape[1]):
            total += self.codebooks[position][codes[:, position]]
        return total

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]`` to each ID with the last code replaced by each value.

        Prices are added, and the whole is kept from falling below 0.
        """
        residual = vectors - self.decode(codes[:, :-1])
        costs = squared_distances(residual, self.codebooks[-1])
        if self.prices[-1].any():
            costs += self.prices[-1] - self.prices[-1].min()
        return costs.astype(np.float32)

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]`` to what the prefixes ``[m, L - 1]`` decode to."""
        return squared_distances(vectors, self.decode(prefixes)).astype(np.float32)


def nearest(vectors: np.ndarray, points: np.ndarray, prices: np.ndarray | None = None) -> np.ndarray:
    """Row of the nearest point for each vector, int64 ``[n]``; of equally near ones the first.

    Args:
        vectors: float64 ``[n, d]``.
        points: float64 ``[K, d]``.
        prices: ``[K]``, added to the squared distances.
    """
    distances = squared_distances(vectors, points)  # [n, K]
    if prices is not None:
        distances += prices
    lengths = np.einsum("nd,nd->n", vectors, vectors)
    slack = _TOLERANCE * (lengths + np.einsum("kd,kd->k", points, points).max())
    return np.asarray(np.argmax(distances <= (distances.min(axis=1) + slack)[:, None], axis=1))


def squared_distances(vectors: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances float64 ``[n, m]`` between ``[n, d]`` and ``[m, d]``."""
    products = vectors @ points.T
    lengths = np.einsum("nd,nd->n", vectors, vectors)[:, None] + np.einsum("md,md->m", points, points)
    return np.asarray(np.maximum(lengths - 2.0 * products, 0.0))


def _nearest_roughly(
    vectors: np.ndarray, points: np.ndarray, prices: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Row of the nearest point by float32 arithmetic, and whether no rounding can have decided it.

    Args:
        vectors: float32 ``[n, d]``, residuals whose own rounding is that of vectors of these `lengths`.
        points: float32 ``[K, d]``.
        prices: ``[K]``.
        lengths: float32 ``[n]``.
    """
    squares = np.einsum("kd,kd->k", points, points)
    costs = vectors @ (-2.0 * points).T  # [n, K]
    costs += (squares + prices).astype(np.float32)
    everyone = np.arange(len(vectors))
    chosen = costs.argmin(axis=1)
    least = costs[everyone, chosen].copy()
    costs[everyone, chosen] = np.inf
    gap = costs.min(axis=1) - least if len(points) > 1 else np.full(len(vectors), np.inf, np.float32)
    # |error| of a product of length d is at most about d times the rounding of the two lengths' product.
    longest = np.sqrt(squares.max())
    own = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    error = (vectors.shape[1] + 16) * _ROUNDING * 2.0 * (own + lengths + longest) * longest
    error += 4.0 * _ROUNDING * np.abs(prices).max()
    sure = gap > 2.0 * error + 2.0 * _TOLERANCE * (np.square(lengths) + np.square(own) + np.square(longest))
    return chosen, sure
