"""`LFQ`: lookup-free quantization; a code is the signs of a few latent values.

Does not know what the vectors stand for; torch is needed to fit it, not to use it.
"""

from __future__ import annotations

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

NAME = "lfq"
_NUDGE = 1e-9  # a value this close above 0 still counts as negative
_MOST_BITS = 16


class LFQ:
    """Lookup-free quantization (arXiv 2310.05737, section 3.1): binary codes.

    The encoder gives each position `bits` values; whether they lie above or below their mean is its code, the
    first value the highest bit.
    Two entropies are trained beside the reconstruction: each vector is to be sure of its code, and all codes
    are to be used.

    Args:
        bits: Bits a position; it has two to the power of them as codes. At most 16.
        num_codebooks: Positions of the codes.
        entropy_weight: Weight of the two entropies.
        input_dim: Width of the vectors; None = taken from the first `fit`.
        hidden_dims: Widths of the encoder's hidden layers; none of them = a linear map.
        epochs: Passes over the vectors.
        batch_size: Vectors a step.
        learning_rate: Peak rate of AdamW under a cosine schedule.
        normalize: See `VectorScaling`.
        device: Torch device to fit on; None = a GPU where there is one.
        seed: Seed of weights and batches.

    Raises:
        ConfigError: Bits out of range, a size below 1, a negative weight, or a rate that is not positive.
    """

    def __init__(
        self,
        bits: int = 8,
        num_codebooks: int = 4,
        entropy_weight: float = 0.1,
        input_dim: int | None = None,
        hidden_dims: Sequence[int] = (512, 256, 128),
        epochs: int = 200,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        normalize: Normalize = "standardize",
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        if not 1 <= bits <= _MOST_BITS or num_codebooks < 1 or entropy_weight < 0:
            raise ConfigError(
                f"LFQ needs 1 to {_MOST_BITS} bits, at least one position and a weight that is not negative",
                received=f"{bits} bits, {num_codebooks} codebooks, entropy weight {entropy_weight}",
                remedy="give for example bits=8, num_codebooks=4, entropy_weight=0.1",
            )
        self.bits = bits
        self.num_codebooks = num_codebooks
        self.entropy_weight = entropy_weight
        self.seed = seed
        self.latent_space = LatentSpace(
            input_dim=input_dim,
            hidden_dims=hidden_dims,
            latent_dim=num_codebooks * bits,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            normalize=normalize,
            device=device,
            seed=seed,
        )
        self.training_record: dict[str, Any] = {}
        self._mean, self._deviation = np.zeros(0), np.ones(0)  # of the latent's values, [positions * bits]

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (1 << self.bits,) * self.num_codebooks

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return self.latent_space.fitted

    def fit(self, vectors: np.ndarray, checkpoint: str | Path | None = None) -> LFQ:
        """Trains the autoencoder on float32 ``[n, d]``; `checkpoint` as in `Quantizer.fit`.

        Raises:
            DataError: No matrix of finite floats, an empty one, or another width than `input_dim`.
            TrainingError: The loss is not finite.
        """
        from genrec.quantization.bottlenecks import BinaryBottleneck

        kept = FitCheckpoint(checkpoint, NAME, self._settings(), vectors)
        bottleneck, epochs = self.latent_space.fit(
            vectors,
            lambda: BinaryBottleneck(self.bits, self.num_codebooks, self.entropy_weight),
            warm_up_rows=1,
            kept=kept,
        )
        self._mean, self._deviation = bottleneck.statistics()
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
        return space.decode(self._signs(checked).reshape(len(checked), space.latent_dim))

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]``, in the latent, for each value of the last code.

        The positions are independent: the prefix adds the same to every value and is left out.
        """
        checked_codes(codes, self.codebook_sizes)
        values = self._standardized(self._ready().latents(vectors))[:, -self.bits :]
        grid = self._signs(np.arange(self.codebook_sizes[-1])[:, None])[:, 0]  # [K, bits]
        return squared_distances(values, grid).astype(np.float32)

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]``, in the latent, to the prefixes ``[m, L - 1]``."""
        checked = checked_codes(prefixes, self.codebook_sizes[:-1])
        width = (self.num_codebooks - 1) * self.bits
        points = self._signs(checked).reshape(len(checked), width)
        values = self._standardized(self._ready().latents(vectors))[:, :width]
        return squared_distances(values, points).astype(np.float32)

    def save(self, folder: str | Path) -> None:
        """Writes settings, weights and the training record; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        arrays = self._ready().arrays() | {"latent.mean": self._mean, "latent.deviation": self._deviation}
        write_quantizer(folder, NAME, self._settings(), arrays, self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> LFQ:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of quantizer.
        """
        with read_quantizer(folder, NAME) as (settings, arrays, record):
            quantizer = cls(**settings)
            quantizer.latent_space.restore(arrays)
            quantizer._mean, quantizer._deviation = arrays["latent.mean"], arrays["latent.deviation"]
            quantizer.training_record = record
        return quantizer

    def _settings(self) -> dict[str, Any]:
        own = {"bits": self.bits, "num_codebooks": self.num_codebooks, "entropy_weight": self.entropy_weight}
        return own | self.latent_space.settings()

    def _ready(self) -> LatentSpace:
        if not self.fitted:
            raise not_fitted(self)
        return self.latent_space

    def _standardized(self, latents: np.ndarray) -> np.ndarray:
        return np.asarray((latents - self._mean) / self._deviation)

    def _weights(self) -> np.ndarray:
        return 1 << np.arange(self.bits)[::-1]

    def _signs(self, codes: np.ndarray) -> np.ndarray:
        """Values float64 ``[n, l, bits]``, -1 or 1, of codes ``[n, l]``."""
        return np.where(codes[..., None] & self._weights(), 1.0, -1.0)

    def _codes(self, latents: np.ndarray) -> np.ndarray:
        values = self._standardized(latents)
        positive = values.reshape(len(latents), self.num_codebooks, self.bits) > _NUDGE
        return np.asarray((positive * self._weights()).sum(axis=2), dtype=np.int32)
