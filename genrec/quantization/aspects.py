"""`AspectQuantizer`: a group of codebooks for each aspect of the vectors, such as text, behaviour and image.

Does not know what the aspects are: they are slices of equal width, as fused embedding tables have them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from genrec.artifacts import open_artifact, saved_artifact
from genrec.errors import ArtifactError, ConfigError, DataError, GenRecError
from genrec.quantization.code_usage import training_facts
from genrec.quantization.quantizer import KIND, checked_codes, checked_vectors, not_fitted
from genrec.quantization.residual_codebooks import squared_distances
from genrec.quantization.residual_kmeans import ResidualKMeans

NAME = "aspects"


class AspectQuantizer:
    """Residual k-means in each of several slices of the vectors.

    The first codes of an ID belong to the first aspect, from coarse to fine, the next ones to the second, and
    so on: a code means something in one aspect alone.

    Args:
        num_aspects: Slices, of equal width.
        num_codebooks: Positions of each aspect.
        codebook_size: Codes a position.
        iterations: Passes of k-means at most.
        seed: Seed of sample and starts.

    Raises:
        ConfigError: A size below 1.
    """

    def __init__(
        self,
        num_aspects: int = 2,
        num_codebooks: int = 2,
        codebook_size: int = 256,
        iterations: int = 100,
        seed: int = 0,
    ) -> None:
        if num_aspects < 1:
            raise ConfigError("num_aspects must be at least 1", received=num_aspects, remedy="give 2")
        self.num_aspects = num_aspects
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.iterations = iterations
        self.seed = seed
        self.training_record: dict[str, Any] = {}
        self._parts = [
            ResidualKMeans(num_codebooks, codebook_size, iterations, seed=seed) for _ in range(num_aspects)
        ]
        self._width = 0  # of a slice

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (self.codebook_size,) * (self.num_codebooks * self.num_aspects)

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return all(part.fitted for part in self._parts)

    def fit(self, vectors: np.ndarray, checkpoint: str | Path | None = None) -> AspectQuantizer:
        """Learns every aspect's codebooks.

        Args:
            vectors: float32 ``[n, num_aspects * width]``.
            checkpoint: Folder in which each learned position is kept until its aspect is done.

        Raises:
            DataError: No matrix of finite floats, an empty one, or a width that is no multiple of
                `num_aspects`.
        """
        rows = checked_vectors(vectors, fitting=True)
        if rows.shape[1] % self.num_aspects:
            raise DataError(
                f"vectors do not fall into {self.num_aspects} aspects of equal width",
                received=f"width {rows.shape[1]}",
                remedy="give fused tables, one an aspect (embeddings.collaborative, embeddings.images)",
            )
        self._width = rows.shape[1] // self.num_aspects
        for number, (part, piece) in enumerate(zip(self._parts, self._slices(rows), strict=True)):
            part.fit(piece, None if checkpoint is None else Path(checkpoint) / f"aspect-{number}")
        self.training_record = training_facts(self, vectors)
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        slices = self._slices(self._checked(vectors))
        return np.concatenate(
            [part.encode(piece) for part, piece in zip(self._parts, slices, strict=True)], axis=1
        )

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Sums of centroids, aspect by aspect, float32 ``[n, d]``.

        Raises:
            SemanticIdError: Codes that are out of range.
        """
        self._ready()
        groups = np.split(checked_codes(codes, self.codebook_sizes), self.num_aspects, axis=1)
        return np.concatenate(
            [part.decode(group) for part, group in zip(self._parts, groups, strict=True)], axis=1
        )

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]`` with the last code replaced by each value."""
        groups = np.split(checked_codes(codes, self.codebook_sizes), self.num_aspects, axis=1)
        slices = self._slices(self._checked(vectors))
        found = self._parts[-1].last_code_distances(slices[-1], groups[-1])  # [n, K]
        for part, piece, group in zip(self._parts[:-1], slices, groups, strict=False):
            found = found + np.square(piece - part.decode(group)).sum(axis=1, keepdims=True)
        return found.astype(np.float32)

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]`` to the prefixes ``[m, L - 1]``."""
        prefixes = checked_codes(prefixes, self.codebook_sizes[:-1])
        slices, size = self._slices(self._checked(vectors)), self.num_codebooks
        last = prefixes[:, (self.num_aspects - 1) * size :]  # [m, num_codebooks - 1]
        found = self._parts[-1].prefix_distances(slices[-1], last)  # [n, m]
        for number, (part, piece) in enumerate(zip(self._parts[:-1], slices, strict=False)):
            decoded = part.decode(prefixes[:, number * size : (number + 1) * size])
            found = found + squared_distances(piece.astype(np.float64), decoded.astype(np.float64))
        return found.astype(np.float32)

    def save(self, folder: str | Path) -> None:
        """Writes every aspect's quantizer; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        self._ready()
        settings = {
            "num_aspects": self.num_aspects,
            "num_codebooks": self.num_codebooks,
            "codebook_size": self.codebook_size,
            "iterations": self.iterations,
            "seed": self.seed,
        }
        facts = {
            "quantizer": NAME,
            "settings": settings,
            "width": self._width,
            "record": self.training_record,
        }
        with saved_artifact(folder, kind=KIND, facts=facts) as temporary:
            for number, part in enumerate(self._parts):
                part.save(temporary / f"aspect-{number}")

    @classmethod
    def load(cls, folder: str | Path) -> AspectQuantizer:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of quantizer.
        """
        facts = open_artifact(folder, kind=KIND)
        try:
            if facts["quantizer"] != NAME:
                raise ValueError(f"it is a {facts['quantizer']}, not {NAME}")
            quantizer = cls(**facts["settings"])
            places = [Path(folder) / f"aspect-{number}" for number in range(quantizer.num_aspects)]
            quantizer._parts = [ResidualKMeans.load(place) for place in places]
            quantizer._width, quantizer.training_record = facts["width"], facts["record"]
        except (KeyError, TypeError, ValueError, GenRecError) as error:
            raise ArtifactError(
                f"{folder} holds no {NAME} quantizer that can be read",
                received=f"{type(error).__name__}: {error}",
                remedy="fit and save it again",
            ) from error
        return quantizer

    def _ready(self) -> None:
        if not self.fitted:
            raise not_fitted(self)

    def _checked(self, vectors: np.ndarray) -> np.ndarray:
        self._ready()
        return checked_vectors(vectors, self._width * self.num_aspects)

    def _slices(self, rows: np.ndarray) -> list[np.ndarray]:
        return [
            np.ascontiguousarray(rows[:, start : start + self._width])
            for start in range(0, rows.shape[1], self._width)
        ]
