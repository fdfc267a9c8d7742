"""Training of an MLP autoencoder around a quantizing bottleneck.

Does not know which bottleneck it is, nor what the vectors stand for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from genrec.errors import TrainingError
from genrec.quantization.fit_checkpoint import FitCheckpoint
from genrec.quantization.mlp import Mlp

WEIGHT_DECAY = 1e-4
WARM_UP_ROWS = 16_384  # rows of the first look at the data, from which codebooks are initialised
CHECKPOINT_SECONDS = 20.0  # between two states that are kept
PART = "training"

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
    kept: FitCheckpoint,
    side_loss: Callable[[], nn.Module] | None = None,
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
        kept: Where the state is kept now and then; a fit that was interrupted goes on from it, to the same
            result.
        side_loss: Makes a module that maps quantized latents ``[b, latent_dim]`` and the rows they belong to
            ``[b]`` to one more scalar loss.

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
        parts: dict[str, nn.Module] = {"encoder": _mlp(widths), "decoder": _mlp(widths[::-1])}
        bottleneck = make_bottleneck()
        parts["bottleneck"] = bottleneck
        if side_loss is not None:
            parts["side_loss"] = side_loss()
        modules = nn.ModuleDict(parts).to(where)
        training = _Training(modules, epochs, len(rows), batch_size, learning_rate, where, kept)
        if not training.resumed():
            with torch.no_grad():
                first = torch.randperm(len(rows))[: max(WARM_UP_ROWS, warm_up_rows)]
                first = first.repeat(math.ceil(warm_up_rows / len(first)))
                bottleneck(parts["encoder"](rows[first].to(where)))
        training.run(rows)
    encoder, decoder = _exported(modules["encoder"]), _exported(modules["decoder"])
    return encoder, decoder, bottleneck.cpu().eval(), training.record


@contextlib.contextmanager
def _one_thread(where: torch.device) -> Iterator[None]:
    threads = torch.get_num_threads()
    if where.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Training:
    """The loop over epochs, and its state: what is trained, the optimizer, the random numbers, the record."""

    def __init__(
        self,
        modules: nn.ModuleDict,
        epochs: int,
        rows: int,
        batch_size: int,
        learning_rate: float,
        where: torch.device,
        kept: FitCheckpoint,
    ) -> None:
        self.modules = modules
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.where = where
        self.kept = kept
        self.steps = epochs * math.ceil(rows / batch_size)
        self.step = 0
        self.record: list[dict[str, float]] = []
        self.optimizer = torch.optim.AdamW(modules.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)

    def run(self, rows: Tensor) -> None:
        """Trains the epochs that are left."""
        written = time.monotonic()
        left = range(len(self.record), self.epochs)
        progress = tqdm(
            left, initial=left.start, total=self.epochs, desc="quantizer", unit="epoch", disable=None
        )
        for epoch in progress:
            losses = self._epoch(rows)
            if not all(math.isfinite(value) for value in losses.values()):
                raise TrainingError(
                    f"the quantizer's loss is not finite in epoch {epoch + 1}",
                    received=", ".join(f"{name} {value}" for name, value in losses.items()),
                    remedy="lower the learning rate, or set normalize: standardize",
                )
            self.record.append({"epoch": epoch + 1, **losses})
            told = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
            progress.set_postfix_str(told)
            if (epoch + 1) % max(1, self.epochs // 10) == 0:
                logger.info("epoch %d of %d: %s", epoch + 1, self.epochs, told)
            if time.monotonic() - written >= CHECKPOINT_SECONDS:
                self._keep()
                written = time.monotonic()

    def _epoch(self, rows: Tensor) -> dict[str, float]:
        names = ["reconstruction", "bottleneck", *(["side_loss"] if "side_loss" in self.modules else [])]
        sums = torch.zeros(len(names), device=self.where)
        for chosen in torch.randperm(len(rows)).split(self.batch_size):
            batch = rows[chosen].to(self.where)  # [b, d]
            quantized, bottleneck_loss = self.modules["bottleneck"](self.modules["encoder"](batch))
            reconstruction = nn.functional.mse_loss(self.modules["decoder"](quantized), batch)
            losses = [reconstruction, bottleneck_loss]
            if "side_loss" in self.modules:
                losses.append(self.modules["side_loss"](quantized, chosen))
            rate = 0.5 * self.learning_rate * (1.0 + math.cos(math.pi * self.step / self.steps))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.zero_grad(set_to_none=True)
            torch.stack(losses).sum().backward()
            self.optimizer.step()
            self.step += 1
            sums += torch.stack(losses).detach() * len(chosen)
        return dict(zip(names, (sums / len(rows)).tolist(), strict=True))

    def _keep(self) -> None:
        state = {f"module.{name}": tensor for name, tensor in self.modules.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{number}.{name}": tensor for name, tensor in moments.items()}
        state["random"] = torch.random.get_rng_state()
        if self.where.type == "cuda":
            state["random.cuda"] = torch.cuda.get_rng_state(self.where)
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}
        arrays["record"] = np.frombuffer(json.dumps(self.record).encode(), dtype=np.uint8)
        arrays["step"] = np.array([self.step])
        self.kept.write(PART, arrays)

    def resumed(self) -> bool:
        """Takes up what an interrupted fit kept, where it did."""
        arrays = self.kept.read(PART)
        if arrays is None:
            return False
        self.record = json.loads(arrays.pop("record").tobytes())
        self.step = int(arrays.pop("step")[0])
        state = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        torch.random.set_rng_state(state["random"])
        if self.where.type == "cuda" and "random.cuda" in state:
            torch.cuda.set_rng_state(state["random.cuda"], self.where)
        own = {name.removeprefix("module."): t for name, t in state.items() if name.startswith("module.")}
        self.modules.load_state_dict(own)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".")
                moments.setdefault(int(number), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        return True


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _exported(network: nn.Module) -> Mlp:
    linear = [layer for layer in network.children() if isinstance(layer, nn.Linear)]
    return Mlp([(_array(layer.weight), _array(layer.bias)) for layer in linear])


def _array(parameter: Tensor) -> np.ndarray:
    return parameter.detach().cpu().numpy().copy()
