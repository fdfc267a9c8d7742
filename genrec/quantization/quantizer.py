"""`Quantizer`: what every quantizer can do, and the checks all of them share.

Does not know what an item is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from genrec.errors import DataError, SemanticIdError
from genrec.quantization.row_blocks import BLOCK

KIND = "quantizer"


class Quantizer(Protocol):
    """Vectors in, integer codes out.

    The codes of a vector depend on nothing but that vector: not on the batch it came in, nor on the order of
    rows.
    """

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position; known before `fit`."""

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""

    @property
    def training_record(self) -> dict[str, Any]:
        """Plain facts of the last `fit` (losses, codes used, perplexity …), ready for JSON."""

    def fit(self, vectors: np.ndarray, checkpoint: str | Path | None = None) -> Self:
        """Learns from float32 ``[n, d]`` vectors.

        Finished parts are kept in the folder `checkpoint`, where one is given, until the fit is done; an
        interrupted fit of the same vectors and settings goes on from there, to the same result.
        """

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]`` vectors."""

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32 ``[n, d]``, in the space of the input, of int32 ``[n, L]`` codes."""

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distance, float32 ``[n, K]``, of each vector to its ID with each value as last code."""

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distance, float32 ``[n, m]``, of each vector to each prefix: int32 ``[m, L - 1]`` codes."""

    def save(self, folder: str | Path) -> None:
        """Writes what `load_quantizer` needs."""


def checked_vectors(vectors: object, dim: int | None = None, *, fitting: bool = False) -> np.ndarray:
    """The vectors ``[n, d]`` as they are, once they are known to be usable.

    Args:
        vectors: What the caller gave.
        dim: Width they must have; None = any.
        fitting: Whether at least one is needed.

    Raises:
        DataError: No numpy matrix of floats, another width, NaN or infinity, or none where one is needed.
    """
    remedy = "give a float32 matrix [items, width]"
    if not isinstance(vectors, np.ndarray) or vectors.dtype.kind != "f":
        kind = vectors.dtype.name if isinstance(vectors, np.ndarray) else type(vectors).__name__
        raise DataError("a quantizer takes a numpy matrix of floats", received=kind, remedy=remedy)
    if vectors.ndim != 2 or vectors.shape[1] < 1:
        raise DataError(
            "a quantizer takes a matrix of vectors", received=f"shape {vectors.shape}", remedy=remedy
        )
    if dim is not None and vectors.shape[1] != dim:
        raise DataError(
            f"this quantizer takes vectors of width {dim}",
            received=f"width {vectors.shape[1]}",
            remedy="give vectors of the encoder it was fitted with, or fit it again",
        )
    if fitting and len(vectors) == 0:
        raise DataError(
            "a quantizer cannot learn from no vectors", received="0 rows", remedy="give at least one item"
        )
    for start in range(0, len(vectors), BLOCK):
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(vectors[start : start + BLOCK].sum(dtype=np.float64)):
                continue  # quicker than to look at each value: a sum is finite only if all of them are
        finite = np.isfinite(vectors[start : start + BLOCK]).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise DataError(
                "a vector holds NaN or infinity", received=f"row {row}", remedy="encode that item again"
            )
    return vectors


def checked_codes(codes: object, codebook_sizes: Sequence[int]) -> np.ndarray:
    """Codes as int64 ``[n, L]``.

    Raises:
        SemanticIdError: No matrix of whole numbers, another length, or a code out of its position's range.
    """
    array = np.asarray(codes)
    if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != len(codebook_sizes):
        raise SemanticIdError(
            f"codes must be a matrix of whole numbers [items, {len(codebook_sizes)}]",
            received=f"{array.dtype} of shape {array.shape}",
            remedy="give the codes that encode returned",
        )
    array = array.astype(np.int64)
    wrong = (array < 0) | (array >= np.asarray(codebook_sizes, dtype=np.int64))
    if wrong.any():
        row, position = (int(index) for index in np.argwhere(wrong)[0])
        raise SemanticIdError(
            f"position {position} has the codes 0 to {codebook_sizes[position] - 1}",
            received=f"code {int(array[row, position])} in row {row}",
            remedy="give codes of this quantizer",
        )
    return array


def not_fitted(quantizer: Quantizer) -> DataError:
    """The error of a quantizer that is used before `fit`."""
    return DataError(
        f"this {type(quantizer).__name__} has learned nothing yet",
        remedy="call fit(vectors), or load a saved one",
    )
