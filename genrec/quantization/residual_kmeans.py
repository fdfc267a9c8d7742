"""`ResidualKMeans`: k-means on the vectors, then on what each step leaves over.

Does not know what the vectors stand for, and trains no network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np

from genrec.errors import ConfigError
from genrec.quantization.centroids import Clustering, learn_centroids, sampled_rows
from genrec.quantization.code_usage import training_facts
from genrec.quantization.fit_checkpoint import FitCheckpoint
from genrec.quantization.quantizer import checked_codes, checked_vectors, not_fitted
from genrec.quantization.residual_codebooks import ResidualCodebooks
from genrec.quantization.row_blocks import in_blocks, joined_blocks
from genrec.quantization.saved_quantizer import read_quantizer, write_quantizer
from genrec.quantization.vector_scaling import Normalize, VectorScaling

NAME = "residual_kmeans"


class ResidualKMeans:
    """Residual quantization by k-means (k-means++ start), position after position.

    Centroids are learned from at most `rows_per_code` vectors a code, in fixed blocks, so the same vectors
    and seed give the same codebooks whatever the number of cores. Vectors that are mapped from disk stay
    there. With fewer distinct vectors than codes the codebook still has `codebook_size` entries: found
    centroids are repeated.

    Args:
        num_codebooks: Positions of the codes.
        codebook_size: Codes a position.
        iterations: Passes of k-means at most.
        clustering: `kmeans`, `minibatch`, or `balanced` for codes that are used about evenly; see
            `learn_centroids`.
        rows_per_code: Vectors a code that centroids are learned from.
        normalize: See `VectorScaling`.
        seed: Seed of sample and starts.

    Raises:
        ConfigError: A size below 1, or an unknown way of clustering.
    """

    def __init__(
        self,
        num_codebooks: int = 3,
        codebook_size: int = 256,
        iterations: int = 100,
        clustering: Clustering = "kmeans",
        rows_per_code: int = 256,
        normalize: Normalize = "none",
        seed: int = 0,
    ) -> None:
        if min(num_codebooks, codebook_size, iterations, rows_per_code) < 1:
            raise ConfigError(
                "num_codebooks, codebook_size, iterations and rows_per_code must be at least 1",
                received=f"{num_codebooks}, {codebook_size}, {iterations}, {rows_per_code}",
                remedy="give for example num_codebooks=3, codebook_size=256, iterations=100",
            )
        if clustering not in get_args(Clustering):
            raise ConfigError(
                "unknown way of clustering",
                received=repr(clustering),
                remedy=f"use one of {', '.join(get_args(Clustering))}",
            )
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.iterations = iterations
        self.clustering: Clustering = clustering
        self.rows_per_code = rows_per_code
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

    def fit(self, vectors: np.ndarray, checkpoint: str | Path | None = None) -> ResidualKMeans:
        """Learns the centroids from float32 ``[n, d]``.

        Args:
            vectors: The vectors, in memory or mapped from disk.
            checkpoint: Folder in which each learned position is kept until the fit is done; an interrupted
                fit of the same vectors and settings goes on from there.

        Raises:
            DataError: No matrix of finite floats, or an empty one.
        """
        checked_vectors(vectors, fitting=True)
        kept = FitCheckpoint(checkpoint, NAME, self._settings(), vectors)
        sample = sampled_rows(vectors, self.rows_per_code * self.codebook_size, self.seed)
        self.scaling.fit(sample)
        residual = in_blocks(lambda block: self.scaling.apply(block).astype(np.float32), sample)
        codebooks, prices = [], []
        for position in range(self.num_codebooks):
            found = kept.read(position)
            if found is None:
                codebook, price = learn_centroids(
                    residual,
                    self.codebook_size,
                    iterations=self.iterations,
                    seed=self.seed + position,
                    clustering=self.clustering,
                )
                kept.write(position, {"codebook": codebook, "prices": price})
            else:
                codebook, price = found["codebook"], found["prices"]
            chosen = _encoded(ResidualCodebooks([codebook], [price]), residual)[:, 0]
            residual = residual - codebook[chosen]
            codebooks.append(codebook)
            prices.append(price)
        self._books = ResidualCodebooks(codebooks, prices)
        self.training_record = training_facts(self, sample) | {"vectors": len(vectors), "sample": len(sample)}
        kept.clear()
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        books = self._ready()
        rows = checked_vectors(vectors, books.codebooks[0].shape[1])
        return joined_blocks(
            lambda one: books.encode(self.scaling.apply(rows[one])), len(rows), progress="encoding"
        )

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
        prices = np.stack(self._ready().prices).astype(np.float32)  # [L, K]
        arrays = {"codebooks": codebooks, "prices": prices, **self.scaling.arrays()}
        write_quantizer(folder, NAME, self._settings(), arrays, self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> ResidualKMeans:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of quantizer.
        """
        with read_quantizer(folder, NAME) as (settings, arrays, record):
            quantizer = cls(**settings)
            quantizer.scaling.restore(arrays)
            codebooks = arrays["codebooks"]
            prices = arrays.get("prices", np.zeros(codebooks.shape[:2], dtype=np.float32))  # none in format 1
            quantizer._books = ResidualCodebooks(list(codebooks), list(prices))
            quantizer.training_record = record
        return quantizer

    def _settings(self) -> dict[str, Any]:
        return {
            "num_codebooks": self.num_codebooks,
            "codebook_size": self.codebook_size,
            "iterations": self.iterations,
            "clustering": self.clustering,
            "rows_per_code": self.rows_per_code,
            "normalize": self.scaling.normalize,
            "seed": self.seed,
        }

    def _ready(self) -> ResidualCodebooks:
        if self._books is None:
            raise not_fitted(self)
        return self._books

    def _scaled(self, vectors: np.ndarray) -> np.ndarray:
        rows = checked_vectors(vectors, self._ready().codebooks[0].shape[1])
        return self.scaling.apply(rows.astype(np.float64))


def _encoded(books: ResidualCodebooks, rows: np.ndarray) -> np.ndarray:
    return joined_blocks(lambda one: books.encode(rows[one]), len(rows))
