"""`ResidualFSQ`: finite scalar quantization of a latent, then of what each step leaves over.

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
from genrec.quantization.residual_codebooks import ResidualCodebooks
from genrec.quantization.saved_quantizer import read_quantizer, write_quantizer
from genrec.quantization.vector_scaling import Normalize

NAME = "residual_fsq"


class ResidualFSQ:
    """Residual finite scalar quantization: codes from coarse to fine over one small latent, none learned.

    The encoder gives `len(levels)` scalars; each is squashed and rounded to one of its levels, and the next
    position rounds what is left over on a grid that is finer by the number of levels, as in `ResidualFSQ` of
    vector-quantize-pytorch. The grids are those of arXiv 2309.15505 with levels at both ends of the range.

    Args:
        levels: Levels of each scalar, each at least 2; a position has their product as codes.
        num_codebooks: Positions of the codes.
        input_dim: Width of the vectors; None = taken from the first `fit`.
        hidden_dims: Widths of the encoder's hidden layers; none of them = a linear map.
        epochs: Passes over the vectors.
        batch_size: Vectors a step.
        learning_rate: Peak rate of AdamW under a cosine schedule.
        normalize: See `VectorScaling`.
        device: Torch device to fit on; None = a GPU where there is one.
        seed: Seed of weights and batches.

    Raises:
        ConfigError: A scalar with fewer than 2 levels, a size below 1, or a rate that is not positive.
    """

    def __init__(
        self,
        levels: Sequence[int] = (4, 4, 4, 4),
        num_codebooks: int = 4,
        input_dim: int | None = None,
        hidden_dims: Sequence[int] = (512, 256, 128),
        epochs: int = 200,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        normalize: Normalize = "standardize",
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        if not levels or min(levels) < 2 or num_codebooks < 1:
            raise ConfigError(
                "ResidualFSQ needs scalars of at least 2 levels and at least one position",
                received=f"levels {tuple(levels)}, {num_codebooks} codebooks",
                remedy="give for example levels=(4, 4, 4, 4), num_codebooks=4",
            )
        self.levels = tuple(levels)
        self.num_codebooks = num_codebooks
        self.seed = seed
        self.latent_space = LatentSpace(
            input_dim=input_dim,
            hidden_dims=hidden_dims,
            latent_dim=len(levels),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            normalize=normalize,
            device=device,
            seed=seed,
        )
        self.training_record: dict[str, Any] = {}
        self._books = ResidualCodebooks(self._grids())

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (math.prod(self.levels),) * self.num_codebooks

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return self.latent_space.fitted

    def fit(self, vectors: np.ndarray, checkpoint: str | Path | None = None) -> ResidualFSQ:
        """Trains the autoencoder on float32 ``[n, d]``; `checkpoint` as in `Quantizer.fit`.

        Raises:
            DataError: No matrix of finite floats, an empty one, or another width than `input_dim`.
            TrainingError: The loss is not finite.
        """
        from genrec.quantization.bottlenecks import ResidualScalarBottleneck

        kept = FitCheckpoint(checkpoint, NAME, self._settings(), vectors)
        _, epochs = self.latent_space.fit(
            vectors,
            lambda: ResidualScalarBottleneck(self.levels, self.num_codebooks),
            warm_up_rows=1,
            kept=kept,
        )
        self.training_record = training_facts(self, vectors) | {"epochs": epochs}
        kept.clear()
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        return self._ready().codes(vectors, lambda latents: self._books.encode(self._squashed(latents)))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32 ``[n, d]``, in the space of the input.

        Raises:
            SemanticIdError: Codes that are out of range.
        """
        return self._ready().decode(self._books.decode(checked_codes(codes, self.codebook_sizes)))

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]``, in the squashed latent, for each value of the last code."""
        scalars = self._squashed(self._ready().latents(vectors))
        return self._books.last_code_distances(scalars, checked_codes(codes, self.codebook_sizes))

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]``, in the squashed latent, to the prefixes ``[m, L - 1]``."""
        scalars = self._squashed(self._ready().latents(vectors))
        return self._books.prefix_distances(scalars, checked_codes(prefixes, self.codebook_sizes[:-1]))

    def save(self, folder: str | Path) -> None:
        """Writes settings, weights and the training record; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        write_quantizer(folder, NAME, self._settings(), self._ready().arrays(), self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> ResidualFSQ:
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
        return {"levels": self.levels, "num_codebooks": self.num_codebooks} | self.latent_space.settings()

    def _ready(self) -> LatentSpace:
        if not self.fitted:
            raise not_fitted(self)
        return self.latent_space

    def _squashed(self, latents: np.ndarray) -> np.ndarray:
        """Scalars kept half a step within reach of the outermost levels, as the library keeps them."""
        reach = 1.0 + 1.0 / (np.array(self.levels, dtype=np.float64) - 1.0)
        return np.asarray(np.tanh(latents / reach) * reach)

    def _grids(self) -> list[np.ndarray]:
        """Points ``[K, scalars]`` of each position, first scalar fastest."""
        levels = np.array(self.levels, dtype=np.float64)
        numbers = np.stack(
            np.unravel_index(np.arange(math.prod(self.levels)), self.levels, order="F"), axis=-1
        )
        points = 2.0 * numbers / (levels - 1.0) - 1.0  # [K, scalars]
        return [points * levels ** -float(position) for position in range(self.num_codebooks)]
