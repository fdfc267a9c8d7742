"""The jobs of `ablation_tasks.py`: which there are, and which of them no other process has taken.

Does not know what a job does.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ablation_tasks_job import MIXTURES, REGIMES

BASE = "base"


@dataclass(frozen=True)
class Job:
    """A mixture to train in a regime from a seed; `base` is the model that has read the item texts."""

    regime: str
    mixture: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder and of its JSON."""
        return f"{self.regime}-{self.mixture.removeprefix('+')}-{self.seed}"


def jobs(seeds: Sequence[int]) -> list[Job]:
    """Every job, a seed after the other; the models that have read the texts come first."""
    bases = [Job("lora", BASE, seed) for seed in seeds]
    return bases + [Job(way, name, seed) for seed in seeds for way in REGIMES for name in MIXTURES]


def asked(words: Sequence[str]) -> list[Job]:
    """The jobs that words name: a regime, a mixture and a seed, or `all` and seeds.

    Raises:
        ValueError: They name none.
    """
    regime, *rest = [*words, ""]
    mixture = rest[0] if rest else ""
    numbers = words[1:] if regime == "all" else words[2:]
    known = regime == "all" or (regime in REGIMES and mixture in (*MIXTURES, BASE) and len(numbers) == 1)
    if not known or not numbers or not all(number.isdigit() for number in numbers):
        raise ValueError(
            f"{' '.join(words)!r} names no job: give one of {', '.join(REGIMES)}, one of "
            f"{', '.join((*MIXTURES, BASE))} and a seed, or `all` and seeds"
        )
    if regime == "all":
        return jobs([int(number) for number in numbers])
    return [Job(regime, mixture, int(numbers[0]))]


@contextmanager
def taken(job: Job, output: Path) -> Iterator[bool]:
    """Whether the job is this process's, held until the block ends or the process does."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / f"{job.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
