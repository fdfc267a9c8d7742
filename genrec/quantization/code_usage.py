"""How evenly codes are used, and how much of the vectors a quantizer keeps.

Does not know how any quantizer works.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from genrec.quantization.quantizer import Quantizer
from genrec.quantization.row_blocks import BLOCK


def training_facts(quantizer: Quantizer, vectors: np.ndarray) -> dict[str, Any]:
    """Facts of a fit over its own vectors ``[n, d]``: codes used and perplexity per position, relative error.

    The relative error is the mean squared distance between vectors and decoded vectors over the vectors'
    variance; 0 is perfect, 1 is as good as the mean.
    """
    codes = quantizer.encode(vectors)
    error = spread = 0.0
    mean = vectors.mean(axis=0, dtype=np.float64)
    for start in range(0, len(vectors), BLOCK):
        rows = vectors[start : start + BLOCK].astype(np.float64)
        error += float(np.square(rows - quantizer.decode(codes[start : start + BLOCK])).sum())
        spread += float(np.square(rows - mean).sum())
    counts = [np.bincount(column, minlength=2) for column in codes.T]
    return {
        "vectors": len(vectors),
        "relative_error": error / spread if spread > 0 else 0.0,
        "codes_used": [int((count > 0).sum()) for count in counts],
        "perplexity": [perplexity(count) for count in counts],
    }


def perplexity(counts: np.ndarray) -> float:
    """Exponential of the entropy of codes given as counts: the size when all are used evenly."""
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
