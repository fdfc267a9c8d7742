"""`Mlp`: a trained multilayer perceptron as plain arrays, run in float64.

Does not know how it was trained; codes made with it are the same on every device and for every batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


class Mlp:
    """Linear layers with ReLU between them.

    Args:
        layers: Pairs of weight ``[out, in]`` and bias ``[out]``.
    """

    def __init__(self, layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        self.layers = [
            (np.asarray(weight, np.float32), np.asarray(bias, np.float32)) for weight, bias in layers
        ]

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Outputs float64 ``[n, out]`` of float64 ``[n, in]``."""
        if not self.layers:
            return rows
        weight, bias = self.layers[-1]
        return self.hidden(rows) @ weight.T.astype(np.float64) + bias

    def hidden(self, rows: np.ndarray) -> np.ndarray:
        """What the last layer sees, float64 ``[n, hidden]``, of float64 ``[n, in]``."""
        hidden = rows
        for weight, bias in self.layers[:-1]:
            hidden = np.maximum(hidden @ weight.T.astype(np.float64) + bias, 0.0)
        return hidden

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """All layers as named arrays to save."""
        found: dict[str, np.ndarray] = {}
        for depth, (weight, bias) in enumerate(self.layers):
            found |= {f"{name}.{depth}.weight": weight, f"{name}.{depth}.bias": bias}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], name: str, depth: int) -> Mlp:
        """Takes up what `arrays` gave."""
        return cls(
            [(arrays[f"{name}.{layer}.weight"], arrays[f"{name}.{layer}.bias"]) for layer in range(depth)]
        )
