"""`ResidualKMeans`: k-means on the vectors, then on what each step leaves over.

Does not know what the vectors stand for, and trains no network.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from genrec.errors import ConfigError
from genrec.quantization.code_usage import training_facts
from genrec.quantization.quantizer import checked_codes, checked_vectors, in_blocks, not_fitted
from genrec.quantization.residual_codebooks import ResidualCodebooks, nearest
from genrec.quantization.saved_quantizer import read_quantizer, write_quantizer
from genrec.quantization.vector_scaling import Normalize, VectorScaling

NAME = "residual_kmeans"
ROWS_PER_CODE = 256  # centroids are learned from at most so many vectors a code


class ResidualKMeans:
    """Residual quantization by scikit-learn's k-means (k-means++ start), position after position.

    Centroids are learned on one thread from at most 256 vectors a code, so the same vectors and seed give the
    same codebooks whatever the number of cores. With fewer distinct vectors than codes the codebook still has
    `codebook_size` entries: found centroids are repeated.

    Args:
        num_codebooks: Positions of the codes.
        codebook_size: Codes a position.
        iterations: Lloyd iterations at most.
        normalize: See `VectorScaling`.
        seed: Seed of the starts.

    Raises:
        ConfigError: A size below 1.
    """

    def __init__(
        self,
        num_codebooks: int = 3,
        codebook_size: int = 256,
        iterations: int = 100,
        normalize: Normalize = "none",
        seed: int = 0,
    ) -> None:
        if min(num_codebooks, codebook_size, iterations) < 1:
            raise ConfigError(
                "num_codebooks, codebook_size and iterations must be at least 1",
                received=f"{num_codebooks}, {codebook_size}, {iterations}",
                remedy="give for example num_codebooks=3, codebook_size=256, iterations=100",
            )
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.iterations = iterations
        self.seed = seed
        self.scaling = VectorScaling(normalize)
        self.training_record: dict[str, Any] = {}
        self._books: ResidualCodebooks | None = None

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (self.codebook_size,) * self.num_codebooks

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return self._books is not None

    def fit(self, vectors: np.ndarray) -> ResidualKMeans:
        """Learns the centroids from float32 ``[n, d]``.

        Raises:
            DataError: No matrix of finite floats, or an empty one.
        """
        rows = checked_vectors(vectors, fitting=True)
        most = ROWS_PER_CODE * self.codebook_size
        if len(rows) > most:
            rows = rows[np.sort(np.random.default_rng(self.seed).choice(len(rows), size=most, replace=False))]
        rows = rows.astype(np.float64)
        residual = self.scaling.fit(rows).apply(rows)
        codebooks = []
        for position in range(self.num_codebooks):
            codebook = _centroids(residual, self.codebook_size, self.iterations, self.seed + position)
            residual = residual - codebook[nearest(residual, codebook)]
            codebooks.append(codebook)
        self._books = ResidualCodebooks(codebooks)
        self.training_record = training_facts(self, vectors)
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        books = self._ready()
        rows = checked_vectors(vectors, books.codebooks[0].shape[1])
        return in_blocks(lambda block: books.encode(self.scaling.apply(block)), rows)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Sums of centroids, float32 ``[n, d]``, in the space of the input.

        Raises:
            SemanticIdError: Codes that are out of range.
        """
        decoded = self._ready().decode(checked_codes(codes, self.codebook_sizes))
        return self.scaling.undo(decoded).astype(np.float32)

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]`` with the last code replaced by each value, after scaling."""
        books = self._ready()
        return books.last_code_distances(self._scaled(vectors), checked_codes(codes, self.codebook_sizes))

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]`` to the prefixes ``[m, L - 1]``, after scaling."""
        books = self._ready()
        return books.prefix_distances(
            self._scaled(vectors), checked_codes(prefixes, self.codebook_sizes[:-1])
        )

    def save(self, folder: str | Path) -> None:
        """Writes settings, codebooks and the training record; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        codebooks = np.stack(self._ready().codebooks).astype(np.float32)  # [L, K, d]
        settings = {
            "num_codebooks": self.num_codebooks,
            "codebook_size": self.codebook_size,
            "iterations": self.iterations,
            "normalize": self.scaling.normalize,
            "seed": self.seed,
        }
        arrays = {"codebooks": codebooks, **self.scaling.arrays()}
        write_quantizer(folder, NAME, settings, arrays, self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> ResidualKMeans:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of quantizer.
        """
        with read_quantizer(folder, NAME) as (settings, arrays, record):
            quantizer = cls(**settings)
            quantizer.scaling.restore(arrays)
            quantizer._books = ResidualCodebooks(list(arrays["codebooks"]))
            quantizer.training_record = record
        return quantizer

    def _ready(self) -> ResidualCodebooks:
        if self._books is None:
            raise not_fitted(self)
        return self._books

    def _scaled(self, vectors: np.ndarray) -> np.ndarray:
        rows = checked_vectors(vectors, self._ready().codebooks[0].shape[1])
        return self.scaling.apply(rows.astype(np.float64))


def _centroids(rows: np.ndarray, size: int, iterations: int, seed: int) -> np.ndarray:
    """Centroids ``[size, d]``, rounded to float32 as they are saved."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = KMeans(min(size, len(rows)), n_init=1, max_iter=iterations, random_state=seed)
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than codes is allowed here
        found = model.fit(rows.astype(np.float32)).cluster_centers_
    return np.asarray(found[np.arange(size) % len(found)], dtype=np.float32).astype(np.float64)
