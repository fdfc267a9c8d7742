"""What the parts of `benchmark_training.py` share: a result, the table of them, memory, fresh processes.

Does not know what is measured.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """One measured number.

    Attributes:
        name: What was measured, with the shape or data behind it.
        value: The number.
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
        if self.at_least is None and self.at_most is None:
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
        return {**row, "goal": self.goal, "met": self.met}


def table(results: Sequence[Result]) -> str:
    """The results as a markdown table."""
    words = {None: "", True: "yes", False: "no"}
    lines = ["| what | value | goal | met | identical | note |", "|---|---|---|---|---|---|"]
    for row in results:
        value = f"{row.value:,.4g} {row.unit}" if abs(row.value) < 1e4 else f"{row.value:,.0f} {row.unit}"
        cells = (row.name, value, row.goal, words[row.met], words[row.identical], row.note)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_json(path: Path, results: Sequence[Result], facts: dict[str, object]) -> None:
    """All results and the facts they were measured under."""
    content = {"facts": facts, "results": [row.to_dict() for row in results]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """What `function` returns in a process of its own, whose memory nothing else has touched."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        return pool.submit(function, *arguments).result()


def memory(peak: bool = False) -> float:
    """Resident memory of this process in MiB, now or at its highest since `reset_peak` (Linux only)."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    gc.collect()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(wanted)) / 1024


def reset_peak() -> None:
    """Lets the peak of memory start from now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def facts_of_machine() -> dict[str, object]:
    """Cores, threads and versions."""
    import platform

    import torch
    import transformers
    import trl

    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
    }


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios of measurements that were taken in turn."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
