"""Residual codebooks trained by gradients, with LC-Rec's uniform mapping and LETTER's diversity.

Does not know the autoencoder around them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genrec.quantization.bottlenecks import DEAD_SHARE, KMEANS_ITERATIONS
from genrec.quantization.centroids import learn_centroids
from genrec.quantization.residual_codebooks import nearest
from genrec.quantization.sinkhorn import EPSILON, centred, transport_plan

_USE_DECAY = 0.98  # of the moving average of how often a code is used
_STEPS_A_CLUSTERING = 50  # steps after which the codes are clustered anew for the diversity term


class GradientCodebook(nn.Module):
    """One codebook, started by k-means on the first rows it sees in training, dead codes set anew.

    Args:
        dim: Width of a code.
        size: Codes.
        commitment: Weight of the loss that draws rows to their codes; codes are drawn to rows with weight 1.
        uniform: Whether rows are spread evenly over the codes in training (LC-Rec, arXiv 2311.09049, section
            3.1.2): the plan of Sinkhorn's algorithm decides in place of the distance.
        clusters: Clusters of codes for LETTER's diversity loss; 0 = none.
        diversity: Its weight.
    """

    def __init__(
        self, dim: int, size: int, commitment: float, uniform: bool, clusters: int, diversity: float
    ) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.zeros(size, dim))
        self.commitment = commitment
        self.uniform = uniform
        self.clusters = clusters
        self.diversity = diversity
        self.started: Tensor
        self.use: Tensor
        self.labels: Tensor
        self.register_buffer("started", torch.zeros((), dtype=torch.long))  # steps so far
        self.register_buffer("use", torch.ones(size))  # moving average of rows a code, 1 = even use
        self.register_buffer("labels", torch.zeros(size, dtype=torch.long))  # cluster of each code

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Codes ``[b, dim]`` of rows ``[b, dim]``, with the rows' gradient, and the loss."""
        if self.training and not int(self.started):
            self._start(rows)
        elif self.training:
            self._renew(rows.detach())
        distances = torch.cdist(rows.detach(), self.codes.detach()).square()  # [b, K]
        if self.training and self.uniform and len(rows) > 1:
            plan = transport_plan(torch.exp(-centred(distances.double()) / EPSILON))
            chosen = plan.argmax(dim=1)
        else:
            chosen = distances.argmin(dim=1)
        codes = self.codes[chosen]  # [b, dim]
        loss = functional.mse_loss(codes, rows.detach())
        loss = loss + self.commitment * functional.mse_loss(rows, codes.detach())
        if self.training and self.diversity > 0:
            loss = loss + self.diversity * self._diversity(codes, chosen)
        if self.training:
            self._count(chosen)
        return rows + (codes - rows).detach(), loss

    @torch.no_grad()
    def _start(self, rows: Tensor) -> None:
        seed = int(torch.randint(2**31, ()))
        found, _ = learn_centroids(
            rows.detach().cpu().numpy(), len(self.codes), iterations=KMEANS_ITERATIONS, seed=seed
        )
        self.codes.copy_(torch.from_numpy(found))

    @torch.no_grad()
    def _count(self, chosen: Tensor) -> None:
        counts = torch.bincount(chosen, minlength=len(self.codes)) * (len(self.codes) / len(chosen))
        self.use.mul_(_USE_DECAY).add_(counts, alpha=1 - _USE_DECAY)
        self.started += 1

    @torch.no_grad()
    def _renew(self, rows: Tensor) -> None:
        """Sets dead codes to rows of this batch, before they take part in any gradient."""
        dead = torch.nonzero(self.use < DEAD_SHARE)[:, 0]
        if len(dead):
            drawn = torch.randint(len(rows), (len(dead),), device=rows.device)
            self.codes[dead] = rows[drawn]
            self.use[dead] = 1.0

    def _diversity(self, codes: Tensor, chosen: Tensor) -> Tensor:
        """LETTER (arXiv 2405.07314), equation 5: a code is drawn to another one of its cluster."""
        if int(self.started) % _STEPS_A_CLUSTERING == 0:
            self.labels.copy_(torch.from_numpy(self._clustered()))
        alike = self.labels[chosen][:, None] == self.labels[None, :]  # [b, K]
        others = alike.scatter(1, chosen[:, None], False).float()
        alone = others.sum(dim=1) == 0
        others = others + alone[:, None]  # a code alone in its cluster is drawn to any
        positive = torch.multinomial(others, 1)[:, 0]
        likeness = codes @ self.codes.T  # [b, K]
        likeness = likeness.scatter(1, chosen[:, None], -1e9)
        return functional.cross_entropy(likeness, positive)

    def _clustered(self) -> np.ndarray:
        codes = self.codes.detach().cpu().numpy()
        centres, prices = learn_centroids(
            codes, self.clusters, iterations=KMEANS_ITERATIONS, seed=0, clustering="balanced"
        )
        return nearest(codes.astype(np.float64), centres.astype(np.float64), prices)


class GradientBottleneck(nn.Module):
    """Residual quantization by codebooks that are trained by gradients, as in LC-Rec and LETTER.

    Args:
        dim: Width of the latent.
        num_codebooks: Positions.
        codebook_size: Codes a position.
        commitment: See `GradientCodebook`.
        uniform: Whether the last position spreads its rows evenly.
        clusters: See `GradientCodebook`.
        diversity: See `GradientCodebook`.
    """

    def __init__(
        self,
        dim: int,
        num_codebooks: int,
        codebook_size: int,
        commitment: float,
        uniform: bool = False,
        clusters: int = 10,
        diversity: float = 0.0,
    ) -> None:
        super().__init__()
        last = num_codebooks - 1
        self.layers = nn.ModuleList(
            GradientCodebook(
                dim, codebook_size, commitment, uniform and position == last, clusters, diversity
            )
            for position in range(num_codebooks)
        )

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Quantized latents ``[b, dim]`` and the mean of the positions' losses."""
        residual, quantized, losses = latents, torch.zeros_like(latents), []
        for layer in self.layers:
            codes, loss = layer(residual)
            quantized = quantized + codes
            residual = residual - codes
            losses.append(loss)
        return quantized, torch.stack(losses).mean()

    def codebooks(self) -> list[np.ndarray]:
        """One float32 ``[K, dim]`` array a position."""
        layers = [layer for layer in self.layers if isinstance(layer, GradientCodebook)]
        return [layer.codes.detach().cpu().numpy().copy() for layer in layers]


class Alignment(nn.Module):
    """LETTER's collaborative term (arXiv 2405.07314, equation 3): an item's latent finds its own vector.

    Args:
        vectors: float32 ``[n, c]``, collaborative vectors of the rows that are trained on; they are
            scaled to length 1, so that only their directions count.
        dim: Width of the latent; with another width than the vectors', a linear map is trained between them.
        weight: Weight of the loss.
    """

    def __init__(self, vectors: np.ndarray, dim: int, weight: float) -> None:
        super().__init__()
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled = vectors / np.where(lengths > 0, lengths, 1.0)
        self.vectors: Tensor
        self.register_buffer("vectors", torch.from_numpy(scaled.astype(np.float32)), persistent=False)
        width = vectors.shape[1]
        self.map: nn.Module = nn.Identity() if width == dim else nn.Linear(dim, width, bias=False)
        self.weight = weight

    def forward(self, quantized: Tensor, chosen: Tensor) -> Tensor:
        """Loss of quantized latents ``[b, dim]`` of the rows `chosen` ``[b]``."""
        likeness = self.map(quantized) @ self.vectors[chosen.to(self.vectors.device)].T  # [b, b]
        return self.weight * functional.cross_entropy(
            likeness, torch.arange(len(quantized), device=quantized.device)
        )
