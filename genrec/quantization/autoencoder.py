"""Training of an MLP autoencoder around a quantizing bottleneck.

Does not know which bottleneck it is, nor what the vectors stand for.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from genrec.errors import TrainingError
from genrec.quantization.mlp import Mlp

WEIGHT_DECAY = 1e-4
WARM_UP_ROWS = 16_384  # rows of the first look at the data, from which codebooks are initialised

Bottleneck = TypeVar("Bottleneck", bound=nn.Module)

logger = logging.getLogger(__name__)


def train_autoencoder(
    vectors: np.ndarray,
    make_bottleneck: Callable[[], Bottleneck],
    *,
    hidden_dims: Sequence[int],
    latent_dim: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    device: str | None,
    seed: int,
    warm_up_rows: int,
) -> tuple[Mlp, Mlp, Bottleneck, list[dict[str, float]]]:
    """Trains encoder, bottleneck and decoder on the mean squared error, with AdamW and a cosine schedule.

    The global random state is left as it was. On a CPU one thread does the work, so the same seed gives the
    same result whatever the number of cores.

    Args:
        vectors: float ``[n, d]``, already scaled.
        make_bottleneck: Makes a module that maps latents ``[b, latent_dim]`` to their quantized form and a
            scalar loss; what it learns without gradients it learns in training mode.
        hidden_dims: Widths between input and latent, mirrored in the decoder.
        latent_dim: Width of the latent.
        epochs: Passes over the vectors.
        batch_size: Vectors a step.
        learning_rate: Peak of the schedule.
        device: Torch device; None = a GPU where there is one.
        seed: Seed of weights, batches and bottleneck.
        warm_up_rows: The bottleneck's first look has at least so many rows (vectors are repeated where there
            are fewer).

    Returns:
        Encoder, decoder, the trained bottleneck (on the CPU, in evaluation mode), and the mean losses of each
        epoch.

    Raises:
        TrainingError: The loss is not finite.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    rows = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []), _one_thread(where):
        torch.manual_seed(seed)
        widths = [rows.shape[1], *hidden_dims, latent_dim]
        encoder, decoder = _mlp(widths).to(where), _mlp(widths[::-1]).to(where)
        bottleneck = make_bottleneck().to(where)
        with torch.no_grad():
            first = torch.randperm(len(rows))[: max(WARM_UP_ROWS, warm_up_rows)]
            first = first.repeat(math.ceil(warm_up_rows / len(first)))
            bottleneck(encoder(rows[first].to(where)))
        record = _train(rows, encoder, bottleneck, decoder, epochs, batch_size, learning_rate, where)
    return _exported(encoder), _exported(decoder), bottleneck.cpu().eval(), record


@contextlib.contextmanager
def _one_thread(where: torch.device) -> Iterator[None]:
    threads = torch.get_num_threads()
    if where.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(
    rows: Tensor,
    encoder: nn.Module,
    bottleneck: nn.Module,
    decoder: nn.Module,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    where: torch.device,
) -> list[dict[str, float]]:
    parameters = [p for part in (encoder, bottleneck, decoder) for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=WEIGHT_DECAY)
    batches = math.ceil(len(rows) / batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * batches)
    record: list[dict[str, float]] = []
    progress = tqdm(range(epochs), desc="quantizer", unit="epoch", disable=None)
    for epoch in progress:
        sums = torch.zeros(2, device=where)  # reconstruction, bottleneck
        for chosen in torch.randperm(len(rows)).split(batch_size):
            batch = rows[chosen].to(where)  # [b, d]
            quantized, bottleneck_loss = bottleneck(encoder(batch))
            reconstruction = nn.functional.mse_loss(decoder(quantized), batch)
            optimizer.zero_grad(set_to_none=True)
            (reconstruction + bottleneck_loss).backward()
            optimizer.step()
            schedule.step()
            sums += torch.stack([reconstruction.detach(), bottleneck_loss.detach()]) * len(chosen)
        reconstruction_mean, bottleneck_mean = (sums / len(rows)).tolist()
        if not math.isfinite(reconstruction_mean + bottleneck_mean):
            raise TrainingError(
                f"the quantizer's loss is not finite in epoch {epoch + 1}",
                received=f"reconstruction {reconstruction_mean}, bottleneck {bottleneck_mean}",
                remedy="lower the learning rate, or set normalize: standardize",
            )
        record.append(
            {"epoch": epoch + 1, "reconstruction": reconstruction_mean, "bottleneck": bottleneck_mean}
        )
        progress.set_postfix(reconstruction=f"{reconstruction_mean:.4f}")
        if (epoch + 1) % max(1, epochs // 10) == 0:
            logger.info(
                "epoch %d of %d: reconstruction %.4f, bottleneck %.4f",
                epoch + 1,
                epochs,
                reconstruction_mean,
                bottleneck_mean,
            )
    return record


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _exported(network: nn.Sequential) -> Mlp:
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    return Mlp([(_array(layer.weight), _array(layer.bias)) for layer in linear])


def _array(parameter: Tensor) -> np.ndarray:
    return parameter.detach().cpu().numpy().copy()
