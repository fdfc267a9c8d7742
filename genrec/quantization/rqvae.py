"""`RQVAE`: residual quantization inside an MLP autoencoder.

Does not know what the vectors stand for; torch is needed to fit it, not to use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec.errors import ConfigError
from genrec.quantization.code_usage import training_facts
from genrec.quantization.mlp import Mlp
from genrec.quantization.quantizer import checked_codes, checked_vectors, in_blocks, not_fitted
from genrec.quantization.residual_codebooks import ResidualCodebooks
from genrec.quantization.saved_quantizer import read_quantizer, write_quantizer
from genrec.quantization.vector_scaling import Normalize, VectorScaling

NAME = "rqvae"


class RQVAE:
    """Residual-quantized autoencoder (TIGER, arXiv 2305.05065, section 3.1).

    An MLP encoder, `num_codebooks` residual codebooks over its latent, and the mirrored decoder, trained on
    the mean squared error. Codebooks start from k-means and follow the means of their latents, dead codes are
    set anew. Codes are computed in float64 outside torch, so they are the same for any batch and on any
    device.

    Args:
        input_dim: Width of the vectors; None = taken from the first `fit`.
        hidden_dims: Widths of the encoder's hidden layers.
        latent_dim: Width of latent and codes.
        num_codebooks: Positions of the codes.
        codebook_size: Codes a position, whatever the number of vectors.
        commitment: Weight of the commitment loss (beta).
        epochs: Passes over the vectors.
        batch_size: Vectors a step.
        learning_rate: Peak rate of AdamW under a cosine schedule.
        normalize: See `VectorScaling`.
        device: Torch device to fit on; None = a GPU where there is one.
        seed: Seed of weights, codebooks and batches.

    Raises:
        ConfigError: A size below 1, or a rate that is not positive.
    """

    def __init__(
        self,
        input_dim: int | None = None,
        hidden_dims: Sequence[int] = (512, 256, 128),
        latent_dim: int = 32,
        num_codebooks: int = 3,
        codebook_size: int = 256,
        commitment: float = 0.25,
        epochs: int = 200,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        normalize: Normalize = "standardize",
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        sizes = [input_dim or 1, *hidden_dims, latent_dim, num_codebooks, codebook_size, epochs, batch_size]
        if min(sizes) < 1 or learning_rate <= 0 or commitment < 0:
            raise ConfigError(
                "sizes of an RQVAE must be at least 1, its rate positive, its commitment not negative",
                received=f"sizes {sizes}, learning rate {learning_rate}, commitment {commitment}",
                remedy="leave out what you do not need to change",
            )
        self.input_dim = input_dim
        self.hidden_dims = tuple(hidden_dims)
        self.latent_dim = latent_dim
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.commitment = commitment
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.seed = seed
        self.scaling = VectorScaling(normalize)
        self.training_record: dict[str, Any] = {}
        self._encoder, self._decoder = Mlp([]), Mlp([])
        self._books: ResidualCodebooks | None = None

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (self.codebook_size,) * self.num_codebooks

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return self._books is not None

    def fit(self, vectors: np.ndarray) -> RQVAE:
        """Trains autoencoder and codebooks on float32 ``[n, d]``.

        Raises:
            DataError: No matrix of finite floats, an empty one, or another width than `input_dim`.
            TrainingError: The loss is not finite.
        """
        from genrec.quantization.autoencoder import train_autoencoder
        from genrec.quantization.bottlenecks import ResidualBottleneck

        rows = checked_vectors(vectors, self.input_dim, fitting=True)
        self.scaling.fit(rows)
        batch_size = min(self.batch_size, len(rows))
        self._encoder, self._decoder, bottleneck, epochs = train_autoencoder(
            in_blocks(lambda block: self.scaling.apply(block).astype(np.float32), rows),
            lambda: ResidualBottleneck(
                self.latent_dim, self.num_codebooks, self.codebook_size, self.commitment, batch_size
            ),
            hidden_dims=self.hidden_dims,
            latent_dim=self.latent_dim,
            epochs=self.epochs,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            device=self.device,
            seed=self.seed,
            warm_up_rows=self.codebook_size,
        )
        self.input_dim = rows.shape[1]
        self._books = ResidualCodebooks(bottleneck.codebooks())
        self.training_record = training_facts(self, rows) | {"epochs": epochs}
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        books = self._ready()
        rows = checked_vectors(vectors, self.input_dim)
        return in_blocks(lambda block: books.encode(self._latents(block)), rows)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32 ``[n, d]``, in the space of the input.

        Raises:
            SemanticIdError: Codes that are out of range.
        """
        latents = self._ready().decode(checked_codes(codes, self.codebook_sizes))
        return self.scaling.undo(self._decoder.apply(latents)).astype(np.float32)

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]``, in the latent space, for each value of the last code."""
        books = self._ready()
        latents = in_blocks(self._latents, checked_vectors(vectors, self.input_dim))
        return books.last_code_distances(latents, checked_codes(codes, self.codebook_sizes))

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]``, in the latent space, to the prefixes ``[m, L - 1]``."""
        books = self._ready()
        latents = in_blocks(self._latents, checked_vectors(vectors, self.input_dim))
        return books.prefix_distances(latents, checked_codes(prefixes, self.codebook_sizes[:-1]))

    def save(self, folder: str | Path) -> None:
        """Writes settings, weights, codebooks and the training record; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        codebooks = np.stack(self._ready().codebooks).astype(np.float32)  # [L, K, latent]
        settings = {
            "input_dim": self.input_dim,
            "hidden_dims": self.hidden_dims,
            "latent_dim": self.latent_dim,
            "num_codebooks": self.num_codebooks,
            "codebook_size": self.codebook_size,
            "commitment": self.commitment,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "normalize": self.scaling.normalize,
            "seed": self.seed,
        }
        arrays = {"codebooks": codebooks, **self.scaling.arrays()}
        arrays |= self._encoder.arrays("encoder") | self._decoder.arrays("decoder")
        write_quantizer(folder, NAME, settings, arrays, self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> RQVAE:
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
            quantizer._books = ResidualCodebooks(list(arrays["codebooks"]))
            quantizer.training_record = record
        return quantizer

    def _ready(self) -> ResidualCodebooks:
        if self._books is None:
            raise not_fitted(self)
        return self._books

    def _latents(self, rows: np.ndarray) -> np.ndarray:
        return self._encoder.apply(self.scaling.apply(rows))
