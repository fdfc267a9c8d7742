"""Tokens, time and validation of a training run.

Does not know which trainer runs.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_training_results import synchronised
from transformers import TrainerCallback

from genrec.artifacts import atomic_write_text

logger = logging.getLogger("benchmark")


@dataclass(eq=False)
class Meter(TrainerCallback):
    """Counts tokens and training time, validates at intervals and stops when nothing gets better.

    Attributes:
        collate: The trainer's own collator, through which the batches are counted.
        every_steps: Optimiser steps between validations.
        patience: Validations without a better one before the run stops.
        most_tokens: Tokens after which it stops.
        most_seconds: Time after which it stops, validations counted.
        kept: File that what was measured so far is written to after each validation; None = nowhere.
        points: Tokens, seconds, processor seconds and NDCG@10 at every validation.
    """

    collate: Any
    every_steps: int
    patience: int
    most_tokens: float
    most_seconds: float = float("inf")
    validate: Callable[[Any], float] | None = None
    kept: Path | None = None
    tokens: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    points: list[tuple[int, float, float, float]] = field(default_factory=list)

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        """Counts a batch and collates it."""
        self.tokens += sum(len(row["input_ids"]) for row in rows)
        return self.collate(rows)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts the clocks."""
        self._first = time.perf_counter()
        self._began = time.perf_counter(), time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Validates where it is time; the clocks stand still meanwhile."""
        if state.global_step % self.every_steps:
            return
        synchronised()
        self.seconds += time.perf_counter() - self._began[0]
        self.processor += time.process_time() - self._began[1]
        value = self.validate(kwargs["model"])
        self.points.append((self.tokens, self.seconds, self.processor, value))
        logger.info(
            "step %d: %d tokens, %.0f s, NDCG@10 %.4f", state.global_step, *self.points[-1][:2], value
        )
        if self.kept is not None:
            self.save(self.kept)
        best = int(np.argmax([point[3] for point in self.points]))
        worse = len(self.points) - 1 - best
        spent = self.tokens >= self.most_tokens or time.perf_counter() - self._first >= self.most_seconds
        control.should_training_stop = spent or worse >= self.patience
        self._began = time.perf_counter(), time.process_time()

    def save(self, path: Path) -> None:
        """Keeps what was measured so far."""
        atomic_write_text(path, json.dumps({"tokens": self.tokens, "points": self.points}))

    @classmethod
    def load(cls, path: Path) -> Meter:
        """A run, as `save` kept it."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        return cls(len, 0, 0, 0, tokens=kept["tokens"], points=[tuple(point) for point in kept["points"]])

    @property
    def best(self) -> float:
        """Best NDCG@10 of all validations."""
        return max(point[3] for point in self.points)

    def reached(self, value: float) -> tuple[np.ndarray, bool]:
        """Tokens, seconds, processor seconds at which `value` was reached, and whether it was.

        Between two validations the curve is taken as straight; a run that never got there counts with all
        that it spent.
        """
        before = np.zeros(4)
        for point in np.array(self.points):
            if point[3] >= value:
                gained = point[3] - before[3]
                way = (value - before[3]) / gained if gained > 0 else 0.0
                return before[:3] + (point - before)[:3] * way, True
            before = point
        return before[:3], False
