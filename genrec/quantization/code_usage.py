"""How evenly codes are used, and how much of the vectors a quantizer keeps.

Does not know how any quantizer works.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from genrec.quantization.quantizer import Quantizer
from genrec.quantization.row_blocks import blas_on_one_thread, each_block


def training_facts(quantizer: Quantizer, vectors: np.ndarray) -> dict[str, Any]:
    """Facts of a fit over its own vectors ``[n, d]``: codes used and perplexity per position, relative error.

    The relative error is the mean squared distance between vectors and decoded vectors over the vectors'
    variance; 0 is perfect, 1 is as good as the mean.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    codes = quantizer.encode(vectors)

    def sums(one: slice) -> tuple[float, float]:
        rows = vectors[one].astype(np.float64)
        missed = np.square(rows - quantizer.decode(codes[one])).sum()
        return float(missed), float(np.square(rows - mean).sum())

    with blas_on_one_thread() as threads:
        parts = list(each_block(sums, len(vectors), threads=threads))
    error, spread = (math.fsum(column) for column in zip(*parts, strict=True))
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
