"""What the parts of `benchmark_training.py` share: a result, the table of them, memory, fresh processes.

Does not know what is measured.
"""

from __future__ import annotations

import gc
import json
import math
import multiprocessing
import os
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """One measured number.

    Attributes:
        name: What was measured, with the shape or data behind it.
        value: The number; NaN where it could not be measured, which the note explains.
        unit: Its unit, `x` for a ratio.
        at_least: The goal, where more is better.
        at_most: The goal, where less is better.
        identical: Whether outputs that must agree do; None where there is nothing to compare.
        note: What a reader must know.
    """

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    identical: bool | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if (self.at_least is None and self.at_most is None) or math.isnan(self.value):
            return None
        low = float("-inf") if self.at_least is None else self.at_least
        return low <= self.value <= (float("inf") if self.at_most is None else self.at_most)

    @property
    def goal(self) -> str:
        """The goal as text, empty without one."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        row = asdict(self)
        del row["at_least"], row["at_most"]
        if math.isnan(self.value):
            row["value"] = None
        return {**row, "goal": self.goal, "met": self.met}


def table(results: Sequence[Result]) -> str:
    """The results as a markdown table."""
    words = {None: "", True: "yes", False: "no"}
    lines = ["| what | value | goal | met | identical | note |", "|---|---|---|---|---|---|"]
    for row in results:
        value = f"{row.value:,.4g} {row.unit}" if abs(row.value) < 1e4 else f"{row.value:,.0f} {row.unit}"
        value = "" if math.isnan(row.value) else value
        cells = (row.name, value, row.goal, words[row.met], words[row.identical], row.note)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_json(path: Path, results: Sequence[Result], facts: dict[str, object]) -> None:
    """All results and the facts they were measured under."""
    content = {"facts": facts, "results": [row.to_dict() for row in results]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def apart(function: Callable[..., T], *arguments: object) -> T:
    """What `function` returns where nothing else counts as its memory.

    That is a process of its own, or with a GPU, whose allocator tells exactly, this one with a clean GPU.
    """
    if not torch.accelerator.is_available():
        return fresh_process(function, *arguments)
    gc.collect()
    torch.cuda.empty_cache()
    return function(*arguments)


def fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """What `function` returns in a process of its own, whose memory nothing else has touched."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        return pool.submit(function, *arguments).result()


def memory(peak: bool = False) -> float:
    """MiB of tensors on the GPU where there is one, else `resident`; now, or the most since `reset_peak`."""
    if not torch.accelerator.is_available():
        return resident(peak)
    gc.collect()
    synchronised()
    return (torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()) / 2**20


def resident(peak: bool = False) -> float:
    """Resident memory of this process in MiB, now or the most since `reset_peak` (Linux only)."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    gc.collect()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(wanted)) / 1024


def reset_peak() -> None:
    """Lets the peak of memory start from now."""
    if torch.accelerator.is_available():
        torch.cuda.reset_peak_memory_stats()
        return
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def device() -> torch.device:
    """Where to measure: the GPU where there is one."""
    return torch.accelerator.current_accelerator() or torch.device("cpu")


def synchronised() -> None:
    """Waits until a GPU has done what it was asked for."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def attempt(name: str, function: Callable[..., list[Result]], *arguments: object) -> list[Result]:
    """What `function` measures, or a row that says why it could not."""
    try:
        return function(*arguments)
    except Exception as error:
        why = (str(error).strip().splitlines() or [""])[0]
        return [Result(name, float("nan"), "", note=f"not measured: {type(error).__name__}: {why[:200]}")]


def facts_of_machine() -> dict[str, object]:
    """Cores, GPU, threads and versions."""
    import platform

    import transformers
    import trl

    return {
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "machine": platform.machine(),
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
    }


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios of measurements that were taken in turn."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
