"""The quantizing bottlenecks of an autoencoder in training that come from vector-quantize-pytorch.

Does not know the autoencoder around them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn
from vector_quantize_pytorch import FSQ, LFQ, ResidualFSQ, ResidualVQ

EMA_DECAY = 0.95  # of the codebooks' moving averages
KMEANS_ITERATIONS = 20
INVERSE_TEMPERATURE = 1.0  # of the softmax in LFQ's entropies; the values have a variance of 1
DEAD_SHARE = 0.1  # a code used less often than this share of the average use is dead and set anew


class MovingAverageBottleneck(nn.Module):
    """Residual vector quantization: straight-through gradients, codebooks that follow their vectors' means.

    Codebooks start from k-means on the first batch that is seen in training mode; dead codes are set to
    random vectors of the batch.

    Args:
        dim: Width of the latent.
        num_codebooks: Positions.
        codebook_size: Codes a position.
        commitment: Weight of the loss that draws latents to their codes.
        batch_size: Vectors a step; a code counts as dead in proportion to it.
    """

    def __init__(
        self, dim: int, num_codebooks: int, codebook_size: int, commitment: float, batch_size: int
    ) -> None:
        super().__init__()
        self.layers = ResidualVQ(
            dim=dim,
            num_quantizers=num_codebooks,
            codebook_size=codebook_size,
            kmeans_init=True,
            kmeans_iters=KMEANS_ITERATIONS,
            decay=EMA_DECAY,
            commitment_weight=commitment,
            rotation_trick=False,
            threshold_ema_dead_code=DEAD_SHARE * batch_size / codebook_size,
        )

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Quantized latents ``[b, dim]`` and the commitment loss, summed over the positions."""
        quantized, _, losses = self.layers(latents[None])  # [1, b, dim]
        return quantized[0], losses.sum()

    def codebooks(self) -> list[np.ndarray]:
        """One float32 ``[K, dim]`` array a position."""
        return [codebook.detach().cpu().numpy().copy() for codebook in self.layers.codebooks]


class FiniteScalarBottleneck(nn.Module):
    """Finite scalar quantization (arXiv 2309.15505) of equal chunks of the latent; it has nothing to learn.

    Args:
        levels: Levels of each scalar of a chunk.
        num_chunks: Chunks of the latent.
    """

    def __init__(self, levels: Sequence[int], num_chunks: int) -> None:
        super().__init__()
        self.num_chunks = num_chunks
        self.fsq = FSQ(list(levels))

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Quantized latents ``[b, chunks * scalars]`` and a loss of zero."""
        chunks = latents.unflatten(-1, (self.num_chunks, -1))  # [b, chunks, scalars]
        quantized, _ = self.fsq(chunks)
        return quantized.flatten(1), latents.new_zeros(())


class ResidualScalarBottleneck(nn.Module):
    """Residual finite scalar quantization; it has nothing to learn.

    Args:
        levels: Levels of each scalar.
        num_codebooks: Positions.
    """

    def __init__(self, levels: Sequence[int], num_codebooks: int) -> None:
        super().__init__()
        self.layers = ResidualFSQ(levels=list(levels), num_quantizers=num_codebooks)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Quantized latents ``[b, scalars]`` and a loss of zero."""
        quantized, _ = self.layers(latents[None])  # [1, b, scalars]
        return quantized[0], latents.new_zeros(())


class BinaryBottleneck(nn.Module):
    """Lookup-free quantization (arXiv 2310.05737): signs of standardised values, and two entropies as loss.

    The values are standardised by the batch (running statistics outside training), so that each bit starts
    out evenly used; without it an encoder with biases gives all rows one sign, and no gradient undoes that.

    Args:
        bits: Bits a position.
        num_codebooks: Positions.
        entropy_weight: Weight of the entropies.
    """

    def __init__(self, bits: int, num_codebooks: int, entropy_weight: float) -> None:
        super().__init__()
        width = bits * num_codebooks
        self.standardize = nn.BatchNorm1d(width, affine=False)
        self.layers = LFQ(
            dim=width,
            codebook_size=1 << bits,
            num_codebooks=num_codebooks,
            entropy_loss_weight=entropy_weight,
        )

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Signs ``[b, positions * bits]`` and the entropy loss."""
        if self.training and len(latents) == 1:  # one row has no spread
            latents = latents.repeat(2, 1)
            quantized, loss = self.forward(latents)
            return quantized[:1], loss
        values = self.standardize(latents)
        quantized, _, loss = self.layers(values[None], inv_temperature=INVERSE_TEMPERATURE)
        return quantized[0], loss

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each latent value, float64 ``[positions * bits]``."""
        mean, variance = self.standardize.running_mean, self.standardize.running_var
        if mean is None or variance is None:
            raise RuntimeError("the statistics of the latent are kept")
        deviation = (variance + self.standardize.eps).sqrt()
        return mean.cpu().numpy().astype(np.float64), deviation.cpu().numpy().astype(np.float64)
