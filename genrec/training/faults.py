"""What can go wrong in the middle of a training, told with the setting to change.

Does not know models or batches: it reads losses, and the errors of torch and of the disk.
"""

from __future__ import annotations

import errno
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from genrec.errors import TrainingError
from genrec.training.checkpoints import newest_complete_checkpoint
from genrec.training.processes import any_process

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
# safetensors and torch.save tell of a full disk in words only
_DISK_WORDS = (
    "No space left",
    "Disk quota exceeded",
    "File too large",
    "inline_container.cc",
    "iostream error",
)
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "ALLOC_FAILED")


@dataclass(frozen=True)
class Advice:
    """Which settings a kind of training has against which fault.

    Attributes:
        loss: Against a loss that is no number.
        memory: Against too little memory.
    """

    loss: str
    memory: str


_PASSES = (
    "take a step in smaller passes (align.gradient_accumulation in a recipe, in Python a smaller "
    "per_device_train_batch_size with more gradient_accumulation_steps)"
)
_COOLER = (
    "lower the learning rate (align.learning_rate in a recipe), warm it up for longer "
    "(align.warmup_steps) or clip gradients harder (align.max_grad_norm), then train anew"
)
ALIGNING = Advice(
    loss=_COOLER,
    memory=f"{_PASSES}, recompute activations (align.activation_checkpointing), or lower align.batch_size or "
    "align.max_history; if a validation ran, lower decode.batch_size",
)
ITEMS = Advice(
    loss=_COOLER,
    memory=f"{_PASSES}, or lower align.batch_size or align.max_history; if a validation ran, lower "
    "decode.num_beams",
)
PREFERRING = Advice(
    loss="lower the learning rate (preference.learning_rate in a recipe) or clip gradients harder "
    "(align.max_grad_norm), then train anew",
    memory="lower preference.batch_size or preference.num_rejected (in Python take a step in smaller passes: "
    "a smaller per_device_train_batch_size with more gradient_accumulation_steps), or recompute activations "
    "(align.activation_checkpointing); if a validation ran, lower decode.batch_size",
)


class FiniteLoss(TrainerCallback):
    """Stops all processes before the optimiser takes a step along a loss or gradient that is no number.

    The trainer hands every loss and gradient norm to `see`; nothing is read from the device until the step's
    end.

    Args:
        advice: The settings that the error names.
    """

    def __init__(self, advice: Advice = ALIGNING) -> None:
        self.advice = advice
        self._seen: list[Tensor | float] = []

    def see(self, value: Tensor | float | None) -> None:
        """Keeps a value for the check at the step's end."""
        if value is not None:
            self._seen.append(value.detach() if isinstance(value, Tensor) else value)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Looks at what the step saw.

        Raises:
            TrainingError: In some process the loss or the gradient was not finite.
        """
        values = [float(value) for value in self._seen]
        self._seen = []
        if not any_process(not all(map(math.isfinite, values))):
            return
        newest = newest_complete_checkpoint(str(args.output_dir))
        raise TrainingError(
            f"the loss is no finite number at step {state.global_step + 1}; the step was not taken",
            received=f"loss and gradient norm {', '.join(f'{value:g}' for value in values)} "
            f"at learning rate {args.learning_rate:g}",
            remedy=self.advice.loss + (f"; the weights up to {newest} are finite" if newest else ""),
        )


@contextmanager
def told_faults(output_dir: Path, advice: Advice = ALIGNING) -> Iterator[None]:
    """Within the block, lack of memory and of disk space become errors that name the setting to change.

    Args:
        output_dir: The run's folder.
        advice: The settings that the error names.

    Raises:
        TrainingError: In place of the library's error, which is its cause.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError, SafetensorError) as error:
        if _is_memory(error):
            raise _memory_error(error, output_dir, advice) from error
        if _is_disk(error):
            raise _disk_error(error, output_dir) from error
        raise


def _is_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY_WORDS)


def _is_disk(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return True
    return any(words in str(error) for words in _DISK_WORDS)


def _memory_error(error: Exception, output_dir: Path, advice: Advice) -> TrainingError:
    return TrainingError(
        "the memory is not enough for a training step",
        received=_first_line(error),
        remedy=advice.memory + _go_on(output_dir),
    )


def _disk_error(error: Exception, output_dir: Path) -> TrainingError:
    free = shutil.disk_usage(output_dir).free if output_dir.is_dir() else 0
    return TrainingError(
        f"the disk took no more in {output_dir}; nothing half-written was left there",
        received=f"{_first_line(error)} ({free / 2**20:.0f} MiB free now)",
        remedy="free some space, keep fewer checkpoints (align.keep_checkpoints in a recipe, "
        "save_total_limit in Python), or set output_dir to a larger disk" + _go_on(output_dir),
    )


def _go_on(output_dir: Path) -> str:
    newest = newest_complete_checkpoint(output_dir)
    return f"; the same command goes on from {newest.name}" if newest else ""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"
