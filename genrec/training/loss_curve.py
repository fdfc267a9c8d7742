"""The loss curve of a run as JSON and PNG.

Does not know how the numbers came about: it reads the trainer's log.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from genrec.artifacts import atomic_write_text


class LossCurve(TrainerCallback):
    """Writes `loss_curve.json` and `loss_curve.png` into a folder whenever the trainer saves, and at the end.

    Args:
        folder: Where the two files go.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Writes the curve so far."""
        if state.is_world_process_zero:
            self._write_json(state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Writes the whole curve and its picture."""
        if state.is_world_process_zero:
            self._write_json(state)
            self._draw(state)

    def _write_json(self, state: TrainerState) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self.folder / "loss_curve.json", json.dumps(state.log_history, indent=1))

    def _draw(self, state: TrainerState) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        losses = [(row["step"], row["loss"]) for row in state.log_history if "loss" in row]
        metrics = sorted({key for row in state.log_history for key in row if key.startswith("validation_")})
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot(xlabel="optimiser step", ylabel="training loss (nats per token)")
        axes.plot(*zip(*losses, strict=True) if losses else ([], []), color="tab:blue", label="training loss")
        if metrics:
            right = axes.twinx()
            right.set_ylabel("validation")
            for metric in metrics:
                points = [(row["step"], row[metric]) for row in state.log_history if metric in row]
                right.plot(*zip(*points, strict=True), marker=".", label=metric.removeprefix("validation_"))
            right.legend(loc="center right")
        axes.legend(loc="upper right")
        temporary = self.folder / "loss_curve.tmp.png"
        figure.savefig(temporary, dpi=120)
        os.replace(temporary, self.folder / "loss_curve.png")
