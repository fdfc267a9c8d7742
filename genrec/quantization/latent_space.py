"""`LatentSpace`: scaling, encoder and decoder around a quantized latent, trained in torch and kept as arrays.

Does not know how the latent is quantized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from genrec.errors import ConfigError
from genrec.quantization.fit_checkpoint import FitCheckpoint
from genrec.quantization.mlp import Mlp
from genrec.quantization.quantizer import checked_vectors
from genrec.quantization.row_blocks import blas_on_one_thread, each_block, in_blocks
from genrec.quantization.vector_scaling import Normalize, VectorScaling

if TYPE_CHECKING:
    from torch import nn

_RIDGE = 1e-4  # of the mean square of what the decoder's last layer sees

Bottleneck = TypeVar("Bottleneck", bound="nn.Module")


class LatentSpace:
    """An autoencoder's two halves as plain arrays: codes are computed in float64, the same on every device.

    Args:
        input_dim: Width of the vectors; None = taken from the first `fit`.
        hidden_dims: Widths of the encoder's hidden layers, mirrored in the decoder; none = a linear map.
        latent_dim: Width of the latent.
        epochs: Passes over the vectors.
        batch_size: Vectors a step.
        learning_rate: Peak rate of AdamW under a cosine schedule.
        normalize: See `VectorScaling`.
        device: Torch device to fit on; None = a GPU where there is one.
        seed: Seed of weights and batches.

    Raises:
        ConfigError: A size below 1, or a rate that is not positive.
    """

    def __init__(
        self,
        *,
        input_dim: int | None,
        hidden_dims: Sequence[int],
        latent_dim: int,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        normalize: Normalize,
        device: str | None,
        seed: int,
    ) -> None:
        sizes = [input_dim or 1, *hidden_dims, latent_dim, epochs, batch_size]
        if min(sizes) < 1 or learning_rate <= 0:
            raise ConfigError(
                "sizes of an autoencoder must be at least 1, and its learning rate positive",
                received=f"sizes {sizes}, learning rate {learning_rate}",
                remedy="leave out what you do not need to change",
            )
        self.input_dim = input_dim
        self.hidden_dims = tuple(hidden_dims)
        self.latent_dim = latent_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.seed = seed
        self.scaling = VectorScaling(normalize)
        self.encoder, self.decoder = Mlp([]), Mlp([])

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return bool(self.encoder.layers)

    def fit(
        self,
        vectors: np.ndarray,
        make_bottleneck: Callable[[], Bottleneck],
        *,
        warm_up_rows: int,
        kept: FitCheckpoint,
        side_loss: Callable[[], nn.Module] | None = None,
    ) -> tuple[Bottleneck, list[dict[str, float]]]:
        """Trains the autoencoder around a bottleneck on float32 ``[n, d]``; see `train_autoencoder`.

        Returns:
            The trained bottleneck and the losses of each epoch.

        Raises:
            DataError: No matrix of finite floats, an empty one, or another width than `input_dim`.
            TrainingError: The loss is not finite.
        """
        from genrec.quantization.autoencoder import train_autoencoder

        rows = checked_vectors(vectors, self.input_dim, fitting=True)
        self.scaling.fit(rows)
        self.encoder, self.decoder, bottleneck, epochs = train_autoencoder(
            in_blocks(lambda block: self.scaling.apply(block).astype(np.float32), rows),
            make_bottleneck,
            hidden_dims=self.hidden_dims,
            latent_dim=self.latent_dim,
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(rows)),
            learning_rate=self.learning_rate,
            device=self.device,
            seed=self.seed,
            warm_up_rows=warm_up_rows,
            kept=kept,
            side_loss=side_loss,
        )
        self.input_dim = rows.shape[1]
        return bottleneck, epochs

    def refit_decoder(self, vectors: np.ndarray, quantize: Callable[[np.ndarray], np.ndarray]) -> None:
        """Solves the decoder's last layer anew, by ridge regression, for the latents as they are quantized.

        Args:
            vectors: float32 ``[n, d]`` of the fit.
            quantize: Latents ``[b, latent]`` to their quantized form.
        """

        def products(one: slice) -> tuple[np.ndarray, np.ndarray]:
            scaled = self.scaling.apply(vectors[one].astype(np.float64))
            seen = self.decoder.hidden(quantize(self.encoder.apply(scaled)))
            seen = np.pad(seen, ((0, 0), (0, 1)), constant_values=1.0)  # [b, hidden + 1]
            return seen.T @ seen, seen.T @ scaled

        with blas_on_one_thread() as threads:
            width = len(self.decoder.layers[-1][0][0]) + 1
            gram, wanted = np.zeros((width, width)), np.zeros((width, vectors.shape[1]))
            for squares, targets in each_block(products, len(vectors), threads=threads):
                gram += squares
                wanted += targets
            gram[np.diag_indices_from(gram)] += _RIDGE * np.trace(gram) / width
            solved = np.linalg.solve(gram, wanted)  # [hidden + 1, d]
        self.decoder = Mlp([*self.decoder.layers[:-1], (solved[:-1].T, solved[-1])])

    def encode(self, rows: np.ndarray) -> np.ndarray:
        """Latents float64 ``[n, latent]`` of a block of float64 ``[n, d]``."""
        return self.encoder.apply(self.scaling.apply(rows))

    def latents(self, vectors: np.ndarray) -> np.ndarray:
        """Latents float64 ``[n, latent]`` of vectors ``[n, d]``.

        Raises:
            DataError: Another width, or no finite floats.
        """
        return in_blocks(self.encode, checked_vectors(vectors, self.input_dim))

    def codes(self, vectors: np.ndarray, quantize: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What `quantize` makes of the latents of ``[n, d]``, block by block.

        Raises:
            DataError: Another width, or no finite floats.
        """
        rows = checked_vectors(vectors, self.input_dim)
        return in_blocks(lambda block: quantize(self.encode(block)), rows, progress="encoding")

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Vectors float32 ``[n, d]`` of latents, in the space of the input."""
        return self.scaling.undo(self.decoder.apply(latents)).astype(np.float32)

    def settings(self) -> dict[str, Any]:
        """What a quantizer saves of it beside the arrays; `latent_dim` and the device are its own affair."""
        return {
            "input_dim": self.input_dim,
            "hidden_dims": self.hidden_dims,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "normalize": self.scaling.normalize,
            "seed": self.seed,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learned, as arrays to save."""
        return self.scaling.arrays() | self.encoder.arrays("encoder") | self.decoder.arrays("decoder")

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes up what `arrays` gave."""
        depth = len(self.hidden_dims) + 1
        self.scaling.restore(arrays)
        self.encoder = Mlp.from_arrays(arrays, "encoder", depth)
        self.decoder = Mlp.from_arrays(arrays, "decoder", depth)
