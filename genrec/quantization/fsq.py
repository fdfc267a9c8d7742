"""`FSQ`: finite scalar quantization of chunks of an autoencoder's latent.

Does not know what the vectors stand for; torch is needed to fit it, not to use it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec.errors import ConfigError
from genrec.quantization.code_usage import training_facts
from genrec.quantization.fit_checkpoint import FitCheckpoint
from genrec.quantization.latent_space import LatentSpace
from genrec.quantization.quantizer import checked_codes, not_fitted
from genrec.quantization.residual_codebooks import squared_distances
from genrec.quantization.saved_quantizer import read_quantizer, write_quantizer
from genrec.quantization.vector_scaling import Normalize

NAME = "fsq"
_BOUND = 1.001  # the tanh reaches a little beyond the outermost levels, as in vector-quantize-pytorch
_NUDGE = 1e-9  # a scalar this close to the middle of two levels goes to the upper one


class FSQ:
    """Finite scalar quantization (arXiv 2309.15505), cut as in RecGPT (arXiv 2506.06270): one code a chunk.

    The encoder gives each of `num_chunks` chunks `len(levels)` scalars; each scalar is squashed and rounded
    to one of its levels, and the levels of a chunk together are its code. There is no codebook to learn and
    none to collapse.

    Args:
        levels: Levels of each scalar of a chunk, each at least 3; a position has their product as codes.
        num_chunks: Positions of the codes.
        input_dim: Width of the vectors; None = taken from the first `fit`.
        hidden_dims: Widths of the encoder's hidden layers; none of them = a linear map.
        epochs: Passes over the vectors.
        batch_size: Vectors a step.
        learning_rate: Peak rate of AdamW under a cosine schedule.
        normalize: See `VectorScaling`.
        device: Torch device to fit on; None = a GPU where there is one.
        seed: Seed of weights and batches.

    Raises:
        ConfigError: A scalar with fewer than 3 levels, a size below 1, or a rate that is not positive.
    """

    def __init__(
        self,
        levels: Sequence[int] = (8, 8, 8, 6, 5),
        num_chunks: int = 4,
        input_dim: int | None = None,
        hidden_dims: Sequence[int] = (512, 256, 128),
        epochs: int = 200,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        normalize: Normalize = "standardize",
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        if not levels or min(levels) < 3 or num_chunks < 1:
            raise ConfigError(
                "FSQ needs scalars of at least 3 levels and at least one chunk",
                received=f"levels {tuple(levels)}, {num_chunks} chunks",
                remedy="give for example levels=(8, 8, 8, 6, 5), num_chunks=4",
            )
        self.levels = tuple(levels)
        self.num_chunks = num_chunks
        self.seed = seed
        self.latent_space = LatentSpace(
            input_dim=input_dim,
            hidden_dims=hidden_dims,
            latent_dim=num_chunks * len(levels),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            normalize=normalize,
            device=device,
            seed=seed,
        )
        self.training_record: dict[str, Any] = {}

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (math.prod(self.levels),) * self.num_chunks

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return self.latent_space.fitted

    def fit(self, vectors: np.ndarray, checkpoint: str | Path | None = None) -> FSQ:
        """Trains the autoencoder on float32 ``[n, d]``; `checkpoint` as in `Quantizer.fit`.

        Raises:
            DataError: No matrix of finite floats, an empty one, or another width than `input_dim`.
            TrainingError: The loss is not finite.
        """
        from genrec.quantization.bottlenecks import FiniteScalarBottleneck

        kept = FitCheckpoint(checkpoint, NAME, self._settings(), vectors)
        _, epochs = self.latent_space.fit(
            vectors, lambda: FiniteScalarBottleneck(self.levels, self.num_chunks), warm_up_rows=1, kept=kept
        )
        self.training_record = training_facts(self, vectors) | {"epochs": epochs}
        kept.clear()
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        return self._ready().codes(vectors, self._codes)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32 ``[n, d]``, in the space of the input.

        Raises:
            SemanticIdError: Codes that are out of range.
        """
        space = self._ready()
        checked = checked_codes(codes, self.codebook_sizes)
        points = (self._levels_of(checked) - self._middle()) / self._middle()  # [n, chunks, scalars]
        return space.decode(points.reshape(len(checked), space.latent_dim))

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]``, in steps of a level, for each value of the last code.

        The chunks are independent, so only the last chunk's scalars count: the prefix adds the same to every
        value.
        """
        checked_codes(codes, self.codebook_sizes)
        scalars = self._squashed(self._ready().latents(vectors))[:, -1]  # [n, scalars]
        grid = self._levels_of(np.arange(self.codebook_sizes[-1])[:, None])[:, 0]  # [K, scalars]
        return squared_distances(scalars, grid).astype(np.float32)

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]``, in steps of a level, to the prefixes ``[m, L - 1]``."""
        checked = checked_codes(prefixes, self.codebook_sizes[:-1])
        width = (self.num_chunks - 1) * len(self.levels)
        points = self._levels_of(checked).reshape(len(checked), width)  # [m, (L - 1) * scalars]
        scalars = self._squashed(self._ready().latents(vectors))[:, :-1].reshape(len(vectors), width)
        return squared_distances(scalars, points).astype(np.float32)

    def save(self, folder: str | Path) -> None:
        """Writes settings, weights and the training record; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        write_quantizer(folder, NAME, self._settings(), self._ready().arrays(), self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> FSQ:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of quantizer.
        """
        with read_quantizer(folder, NAME) as (settings, arrays, record):
            quantizer = cls(**settings)
            quantizer.latent_space.restore(arrays)
            quantizer.training_record = record
        return quantizer

    def _settings(self) -> dict[str, Any]:
        return {"levels": self.levels, "num_chunks": self.num_chunks} | self.latent_space.settings()

    def _ready(self) -> LatentSpace:
        if not self.fitted:
            raise not_fitted(self)
        return self.latent_space

    def _middle(self) -> np.ndarray:
        return np.array([level // 2 for level in self.levels], dtype=np.float64)

    def _levels_of(self, codes: np.ndarray) -> np.ndarray:
        """Levels float64 ``[n, chunks, scalars]`` of codes ``[n, chunks]``; first scalar fastest."""
        levels = np.stack(np.unravel_index(codes, self.levels, order="F"), axis=-1)
        return np.asarray(levels, dtype=np.float64)

    def _squashed(self, latents: np.ndarray) -> np.ndarray:
        """Scalars in steps of a level, before rounding, float64 ``[n, chunks, scalars]``."""
        levels = np.array(self.levels, dtype=np.float64)
        half = (levels - 1) * _BOUND / 2
        offset = np.where(levels % 2 == 0, 0.5, 0.0)
        scalars = latents.reshape(len(latents), self.num_chunks, len(levels))
        return np.asarray(np.tanh(scalars + np.arctanh(offset / half)) * half - offset + self._middle())

    def _codes(self, latents: np.ndarray) -> np.ndarray:
        chosen = np.floor(self._squashed(latents) + 0.5 + _NUDGE).astype(np.int64)
        chosen = np.clip(chosen, 0, np.array(self.levels) - 1)
        codes = np.ravel_multi_index(tuple(np.moveaxis(chosen, -1, 0)), self.levels, order="F")
        return np.asarray(codes, dtype=np.int32)
