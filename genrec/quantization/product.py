"""`ProductQuantizer`: k-means in each of several slices of the vectors, after a learned rotation (OPQ).

Does not know what the vectors stand for, and trains no network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from genrec.errors import ConfigError, DataError
from genrec.quantization.centroids import learn_centroids, refined_centroids, sampled_rows
from genrec.quantization.code_usage import training_facts
from genrec.quantization.fit_checkpoint import FitCheckpoint
from genrec.quantization.quantizer import checked_codes, checked_vectors, not_fitted
from genrec.quantization.residual_codebooks import ResidualCodebooks, squared_distances
from genrec.quantization.row_blocks import in_blocks
from genrec.quantization.saved_quantizer import read_quantizer, write_quantizer
from genrec.quantization.vector_scaling import Normalize, VectorScaling

NAME = "product"


class ProductQuantizer:
    """Product quantization after an optimised rotation (OPQ): the IDs of RPG (arXiv 2506.05781).

    The vectors are rotated and cut into `num_codebooks` slices of about equal width, and each slice has a
    codebook of its own. The positions of an ID are independent of each other: they have no order from coarse
    to fine. The rotation is learned by turns with the codebooks: the orthogonal matrix that brings the
    vectors nearest to what their codes decode to.

    Args:
        num_codebooks: Positions of the codes, at most as many as the vectors are wide.
        codebook_size: Codes a position.
        rotation_rounds: Turns of rotation and codebooks; 0 = no rotation (plain PQ).
        iterations: Passes of k-means at most, after the rotation is found.
        rows_per_code: Vectors a code that rotation and centroids are learned from.
        normalize: See `VectorScaling`.
        seed: Seed of sample and starts.

    Raises:
        ConfigError: A size below 1, or a negative number of rounds.
    """

    def __init__(
        self,
        num_codebooks: int = 32,
        codebook_size: int = 256,
        rotation_rounds: int = 20,
        iterations: int = 25,
        rows_per_code: int = 256,
        normalize: Normalize = "none",
        seed: int = 0,
    ) -> None:
        sizes = (num_codebooks, codebook_size, iterations, rows_per_code)
        if min(sizes) < 1 or rotation_rounds < 0:
            raise ConfigError(
                "sizes, iterations and rows_per_code must be at least 1, and rotation_rounds at least 0",
                received=f"{sizes}, rotation_rounds {rotation_rounds}",
                remedy="give for example num_codebooks=32, codebook_size=256, rotation_rounds=20",
            )
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.rotation_rounds = rotation_rounds
        self.iterations = iterations
        self.rows_per_code = rows_per_code
        self.seed = seed
        self.scaling = VectorScaling(normalize)
        self.training_record: dict[str, Any] = {}
        self._rotation = np.zeros((0, 0))  # [d, d], vectors are multiplied from the left
        self._books: list[ResidualCodebooks] = []

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (self.codebook_size,) * self.num_codebooks

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return bool(self._books)

    def fit(self, vectors: np.ndarray, checkpoint: str | Path | None = None) -> ProductQuantizer:
        """Learns rotation and centroids from float32 ``[n, d]``; `checkpoint` as in `Quantizer.fit`.

        Raises:
            DataError: No matrix of finite floats, an empty one, or one narrower than there are positions.
        """
        checked_vectors(vectors, fitting=True)
        if vectors.shape[1] < self.num_codebooks:
            raise DataError(
                f"{self.num_codebooks} slices cannot be cut from vectors of width {vectors.shape[1]}",
                received=f"shape {vectors.shape}",
                remedy="use fewer codebooks, or wider vectors",
            )
        kept = FitCheckpoint(checkpoint, NAME, self._settings(), vectors)
        sample = sampled_rows(vectors, self.rows_per_code * self.codebook_size, self.seed)
        exact = sample.astype(np.float64)
        rows = self.scaling.fit(exact).apply(exact).astype(np.float32)
        self._rotation = self._learned_rotation(rows, kept).astype(np.float64)
        self._books = []
        for position, part in enumerate(self._slices(_turned(rows, self._rotation))):
            found = kept.read(position)
            if found is None:
                found = {"codebook": self._codebook(part, position, self.iterations)}
                kept.write(position, found)
            self._books.append(ResidualCodebooks([found["codebook"]]))
        self.training_record = training_facts(self, sample) | {"vectors": len(vectors), "sample": len(sample)}
        kept.clear()
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        books = self._ready()

        def codes(block: np.ndarray) -> np.ndarray:
            parts = self._slices(self.scaling.apply(block) @ self._rotation)
            return np.concatenate(
                [book.encode(part) for book, part in zip(books, parts, strict=True)], axis=1
            )

        return in_blocks(codes, checked_vectors(vectors, len(self._rotation)), progress="encoding")

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Centroids side by side, turned back, float32 ``[n, d]``, in the space of the input.

        Raises:
            SemanticIdError: Codes that are out of range.
        """
        self._ready()
        points = self._points(checked_codes(codes, self.codebook_sizes))
        return self.scaling.undo(points @ self._rotation.T).astype(np.float32)

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]`` of the last slices to each centroid, after scaling.

        The prefix adds the same to every value of the last code and is left out.
        """
        books = self._ready()
        checked_codes(codes, self.codebook_sizes)
        last = self._slices(self._scaled_and_rotated(vectors))[-1]
        return squared_distances(last, books[-1].codebooks[0]).astype(np.float32)

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]`` to the prefixes ``[m, L - 1]``, after scaling."""
        self._ready()
        points = self._points(checked_codes(prefixes, self.codebook_sizes[:-1]))
        return squared_distances(self._scaled_and_rotated(vectors)[:, : points.shape[1]], points).astype(
            np.float32
        )

    def save(self, folder: str | Path) -> None:
        """Writes settings, rotation, codebooks and the training record; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        books = {
            f"codebook.{p}": book.codebooks[0].astype(np.float32) for p, book in enumerate(self._ready())
        }
        arrays = {"rotation": self._rotation.astype(np.float32), **books, **self.scaling.arrays()}
        write_quantizer(folder, NAME, self._settings(), arrays, self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> ProductQuantizer:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of quantizer.
        """
        with read_quantizer(folder, NAME) as (settings, arrays, record):
            quantizer = cls(**settings)
            quantizer.scaling.restore(arrays)
            quantizer._rotation = arrays["rotation"].astype(np.float64)
            books = [arrays[f"codebook.{position}"] for position in range(quantizer.num_codebooks)]
            quantizer._books = [ResidualCodebooks([book]) for book in books]
            quantizer.training_record = record
        return quantizer

    def _settings(self) -> dict[str, Any]:
        return {
            "num_codebooks": self.num_codebooks,
            "codebook_size": self.codebook_size,
            "rotation_rounds": self.rotation_rounds,
            "iterations": self.iterations,
            "rows_per_code": self.rows_per_code,
            "normalize": self.scaling.normalize,
            "seed": self.seed,
        }

    def _ready(self) -> list[ResidualCodebooks]:
        if not self._books:
            raise not_fitted(self)
        return self._books

    def _learned_rotation(self, rows: np.ndarray, kept: FitCheckpoint) -> np.ndarray:
        """Orthogonal float32 ``[d, d]`` (Ge et al., Optimized Product Quantization, section 3.2)."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        width = rows.shape[1]
        if self.rotation_rounds == 0 or len(rows) < 2:
            return np.eye(width, dtype=np.float32)
        found = kept.read("rotation")
        if found is not None:
            return found["rotation"]
        turned = np.linalg.qr(np.random.default_rng(self.seed).normal(size=(width, width)))[0]
        rotation = np.asarray(turned, dtype=np.float32)
        books: list[np.ndarray] = []
        for _ in tqdm(range(self.rotation_rounds), desc="rotation", unit="round", leave=False, disable=None):
            parts = self._slices(_turned(rows, rotation))
            if books:
                books = [refined_centroids(part, book, 1) for part, book in zip(parts, books, strict=True)]
            else:
                books = [self._codebook(part, position, 4) for position, part in enumerate(parts)]
            decoded = [
                book[in_blocks(ResidualCodebooks([book]).encode, part)[:, 0]]
                for part, book in zip(parts, books, strict=True)
            ]
            with threadpool_limits(limits=1):
                left, _, right = np.linalg.svd(rows.T.astype(np.float64) @ np.concatenate(decoded, axis=1))
                rotation = (left @ right).astype(np.float32)
        kept.write("rotation", {"rotation": rotation})
        return rotation

    def _codebook(self, part: np.ndarray, position: int, iterations: int) -> np.ndarray:
        return learn_centroids(part, self.codebook_size, iterations=iterations, seed=self.seed + position)[0]

    def _slices(self, rows: np.ndarray) -> list[np.ndarray]:
        return np.array_split(rows, self.num_codebooks, axis=1)

    def _points(self, codes: np.ndarray) -> np.ndarray:
        chosen = [self._books[position].codebooks[0][column] for position, column in enumerate(codes.T)]
        return np.concatenate([np.zeros((len(codes), 0)), *chosen], axis=1)

    def _scaled_and_rotated(self, vectors: np.ndarray) -> np.ndarray:
        rows = checked_vectors(vectors, len(self._rotation))
        return in_blocks(lambda block: self.scaling.apply(block) @ self._rotation, rows)


def _turned(rows: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    return in_blocks(lambda block: (block @ rotation).astype(np.float32), rows)
