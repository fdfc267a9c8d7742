"""`VectorScaling`: how vectors are brought to one scale before they are quantized, and back.

Does not know quantizers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from genrec.errors import ConfigError
from genrec.quantization.row_blocks import in_blocks

Normalize = Literal["none", "l2", "standardize"]


class VectorScaling:
    """Scales vectors and undoes it.

    Args:
        normalize: `none`; `l2` = unit length (the length is lost: the inverse stays on the unit sphere);
            `standardize` = subtract the mean and divide by one number for all columns, so that the average
            variance of a column is 1 and distances keep their proportions.

    Raises:
        ConfigError: Another word.
    """

    def __init__(self, normalize: Normalize = "none") -> None:
        if normalize not in get_args(Normalize):
            raise ConfigError(
                "unknown way to normalise vectors",
                received=repr(normalize),
                remedy=f"use one of {', '.join(get_args(Normalize))}",
            )
        self.normalize = normalize
        self.mean = np.zeros(0)
        self.scale = 1.0

    def fit(self, vectors: np.ndarray) -> VectorScaling:
        """Learns mean and scale from ``[n, d]``; vectors that are all equal keep their scale."""
        self.mean, self.scale = np.zeros(vectors.shape[1]), 1.0
        if self.normalize == "standardize":
            self.mean = vectors.mean(axis=0, dtype=np.float64)
            squares = in_blocks(lambda block: np.square(block - self.mean).sum(axis=1), vectors)
            spread = float(np.sqrt(squares.mean() / vectors.shape[1]))
            self.scale = spread if spread > 1e-12 * max(1.0, float(np.abs(self.mean).max())) else 1.0
        return self

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Scaled float64 ``[n, d]``."""
        if self.normalize == "l2":
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            return np.asarray(vectors / np.where(length > 0, length, 1.0))
        if self.normalize == "standardize":
            return (vectors - self.mean) / self.scale
        return vectors

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """Back in the space of the input, float64 ``[n, d]``."""
        return scaled * self.scale + self.mean if self.normalize == "standardize" else scaled

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learned, as arrays to save."""
        return {"scaling.mean": self.mean, "scaling.scale": np.array([self.scale])}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes up what `arrays` gave."""
        self.mean, self.scale = arrays["scaling.mean"], float(arrays["scaling.scale"][0])
