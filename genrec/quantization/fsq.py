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
from genrec.quantization.mlp import Mlp
from genrec.quantization.quantizer import checked_codes, checked_vectors, in_blocks, not_fitted
from genrec.quantization.residual_codebooks import squared_distances
from genrec.quantization.saved_quantizer import read_quantizer, write_quantizer
from genrec.quantization.vector_scaling import Normalize, VectorScaling

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
        sizes = [num_chunks, input_dim or 1, *hidden_dims, epochs, batch_size]
        if not levels or min(levels) < 3 or min(sizes) < 1 or learning_rate <= 0:
            raise ConfigError(
                "FSQ needs scalars of at least 3 levels, sizes of at least 1 and a positive learning rate",
                received=f"levels {tuple(levels)}, sizes {sizes}, learning rate {learning_rate}",
                remedy="give for example levels=(8, 8, 8, 6, 5), num_chunks=4",
            )
        self.levels = tuple(levels)
        self.num_chunks = num_chunks
        self.input_dim = input_dim
        self.hidden_dims = tuple(hidden_dims)
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.seed = seed
        self.scaling = VectorScaling(normalize)
        self.training_record: dict[str, Any] = {}
        self._encoder, self._decoder = Mlp([]), Mlp([])

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (math.prod(self.levels),) * self.num_chunks

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return bool(self._encoder.layers)

    def fit(self, vectors: np.ndarray) -> FSQ:
        """Trains the autoencoder on float32 ``[n, d]``.

        Raises:
            DataError: No matrix of finite floats, an empty one, or another width than `input_dim`.
            TrainingError: The loss is not finite.
        """
        from genrec.quantization.autoencoder import train_autoencoder
        from genrec.quantization.bottlenecks import FiniteScalarBottleneck

        rows = checked_vectors(vectors, self.input_dim, fitting=True)
        self.scaling.fit(rows)
        self._encoder, self._decoder, _, epochs = train_autoencoder(
            in_blocks(lambda block: self.scaling.apply(block).astype(np.float32), rows),
            lambda: FiniteScalarBottleneck(self.levels, self.num_chunks),
            hidden_dims=self.hidden_dims,
            latent_dim=self.num_chunks * len(self.levels),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            device=self.device,
            seed=self.seed,
            warm_up_rows=1,
        )
        self.input_dim = rows.shape[1]
        self.training_record = training_facts(self, rows) | {"epochs": epochs}
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        self._require_fitted()
        return in_blocks(self._codes, checked_vectors(vectors, self.input_dim))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32 ``[n, d]``, in the space of the input.

        Raises:
            SemanticIdError: Codes that are out of range.
        """
        self._require_fitted()
        checked = checked_codes(codes, self.codebook_sizes)
        points = (self._levels_of(checked) - self._middle()) / self._middle()  # [n, chunks, scalars]
        latents = points.reshape(len(checked), self.num_chunks * len(self.levels))
        return self.scaling.undo(self._decoder.apply(latents)).astype(np.float32)

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]``, in steps of a level, for each value of the last code.

        The chunks are independent, so only the last chunk's scalars count: the prefix adds the same to every
        value.
        """
        checked_codes(codes, self.codebook_sizes)
        scalars = self._scalars(vectors)[:, -1]  # [n, scalars]
        grid = self._levels_of(np.arange(self.codebook_sizes[-1])[:, None])[:, 0]  # [K, scalars]
        return squared_distances(scalars, grid).astype(np.float32)

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]``, in steps of a level, to the prefixes ``[m, L - 1]``."""
        checked = checked_codes(prefixes, self.codebook_sizes[:-1])
        width = (self.num_chunks - 1) * len(self.levels)
        points = self._levels_of(checked).reshape(len(checked), width)  # [m, (L - 1) * scalars]
        scalars = self._scalars(vectors)[:, :-1].reshape(len(vectors), width)
        return squared_distances(scalars, points).astype(np.float32)

    def save(self, folder: str | Path) -> None:
        """Writes settings, weights and the training record; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        self._require_fitted()
        settings = {
            "levels": self.levels,
            "num_chunks": self.num_chunks,
            "input_dim": self.input_dim,
            "hidden_dims": self.hidden_dims,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "normalize": self.scaling.normalize,
            "seed": self.seed,
        }
        arrays = self.scaling.arrays() | self._encoder.arrays("encoder") | self._decoder.arrays("decoder")
        write_quantizer(folder, NAME, settings, arrays, self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> FSQ:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of quantizer.
        """
        with read_quantizer(folder, NAME) as (settings, arrays, record):
            quantizer = cls(**settings)
            depth = len(quantizer.hidden_dims) + 1
            quantizer.scaling.restore(arrays)
            quantizer._encoder = Mlp.from_arrays(arrays, "encoder", depth)
            quantizer._decoder = Mlp.from_arrays(arrays, "decoder", depth)
            quantizer.training_record = record
        return quantizer

    def _require_fitted(self) -> None:
        if not self.fitted:
            raise not_fitted(self)

    def _middle(self) -> np.ndarray:
        return np.array([level // 2 for level in self.levels], dtype=np.float64)

    def _levels_of(self, codes: np.ndarray) -> np.ndarray:
        """Levels float64 ``[n, chunks, scalars]`` of codes ``[n, chunks]``; first scalar fastest."""
        levels = np.stack(np.unravel_index(codes, self.levels, order="F"), axis=-1)
        return np.asarray(levels, dtype=np.float64)

    def _squashed(self, block: np.ndarray) -> np.ndarray:
        """Scalars in steps of a level, before rounding, float64 ``[n, chunks, scalars]``."""
        levels = np.array(self.levels, dtype=np.float64)
        half = (levels - 1) * _BOUND / 2
        offset = np.where(levels % 2 == 0, 0.5, 0.0)
        latents = self._encoder.apply(self.scaling.apply(block))
        scalars = latents.reshape(len(block), self.num_chunks, len(levels))
        return np.asarray(np.tanh(scalars + np.arctanh(offset / half)) * half - offset + self._middle())

    def _codes(self, block: np.ndarray) -> np.ndarray:
        chosen = np.floor(self._squashed(block) + 0.5 + _NUDGE).astype(np.int64)
        chosen = np.clip(chosen, 0, np.array(self.levels) - 1)
        codes = np.ravel_multi_index(tuple(np.moveaxis(chosen, -1, 0)), self.levels, order="F")
        return np.asarray(codes, dtype=np.int32)

    def _scalars(self, vectors: np.ndarray) -> np.ndarray:
        self._require_fitted()
        return in_blocks(self._squashed, checked_vectors(vectors, self.input_dim))
