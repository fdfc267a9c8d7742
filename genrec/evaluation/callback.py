"""Retrieval metrics during training: early stopping on what users will see, not on the loss.

Does not know how the ranker under training makes its lists.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from genrec.artifacts import open_artifact, saved_artifact
from genrec.errors import ConfigError
from genrec.evaluation.evaluator import RetrievalEvaluator
from genrec.evaluation.metrics import metric_names
from genrec.ranking import Ranker
from genrec.training import WeightAveraging, save_weights

logger = logging.getLogger(__name__)

BEST_FOLDER = "best"
_KEPT = ("best_value", "best_step", "worse", "last_step")


class RetrievalCallback(TrainerCallback, ExportableState):
    """Evaluates every so many optimiser steps, keeps the best weights and stops when they get no better.

    The weights evaluated are the averaged ones where the run averages. Every evaluation is followed by a
    checkpoint, so that a killed run loses at most one interval; what the callback knows travels in it.

    Args:
        evaluator: Over the validation cases.
        make_ranker: Ranker of the model in training.
        output_dir: The best weights go to `output_dir/best`.
        every_steps: Optimiser steps between evaluations.
        patience: Evaluations without a better value before training stops; 0 = never stop.
        metric: The metric that decides.
        averaging: The run's weight averaging, None where there is none.
        whole_model: Makes the model in training whole where parameters are shared out over processes (the
            trainer's `whole_model`); all processes enter it, the first one gets a model.
        log: The trainer's `log`, so that its trackers get the metrics too; None = the history of the run
            alone. What is measured when training has ended goes to the history: trackers are closed by then.

    Raises:
        ConfigError: The evaluator does not measure the metric.
    """

    def __init__(
        self,
        evaluator: RetrievalEvaluator,
        make_ranker: Callable[[Any], Ranker],
        output_dir: str | Path,
        *,
        every_steps: int,
        patience: int = 0,
        metric: str = "ndcg@10",
        averaging: WeightAveraging | None = None,
        whole_model: Callable[[Any], AbstractContextManager[Any]] = nullcontext,
        log: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        measured = metric_names(evaluator.ks)
        if metric not in measured:  # told before hours of training, not after them
            raise ConfigError(
                "the evaluator does not measure the metric that decides",
                received=f"metric={metric!r}, measured {', '.join(measured)}",
                remedy="give one of these as metric=, or the evaluator its cut-off in ks=",
            )
        self.evaluator = evaluator
        self.make_ranker = make_ranker
        self.folder = Path(output_dir) / BEST_FOLDER
        self.every_steps = every_steps
        self.patience = patience
        self.metric = metric
        self.averaging = averaging
        self.whole_model = whole_model
        self.log = log
        self.best_value = -1.0
        self.best_step = 0
        self.worse = 0
        self.last_step = 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return {"args": {}, "attributes": {name: getattr(self, name) for name in _KEPT}}

    @property
    def stopped(self) -> bool:
        """Whether patience ran out."""
        return bool(self.patience) and self.worse >= self.patience

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Takes up what the checkpoint kept; a run that starts anew starts without best weights."""
        states: Any = state.stateful_callbacks  # a dict, whatever its annotation says
        kept = states.get(type(self).__name__) if states else None
        if state.global_step and isinstance(kept, dict):
            for name in _KEPT:
                setattr(self, name, kept["attributes"][name])
        elif state.is_world_process_zero and self.folder.exists():
            shutil.rmtree(self.folder)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluates at every interval; a resumed run that had stopped stops again at once."""
        if self.stopped:
            control.should_training_stop = True
        elif state.global_step % self.every_steps == 0:
            self._evaluate(state, control, kwargs["model"], self.log)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluates what the last interval left."""
        if state.global_step > self.last_step and not self.stopped:
            self._evaluate(state, control, kwargs["model"], None)

    def _evaluate(
        self,
        state: TrainerState,
        control: TrainerControl,
        model: Any,
        log: Callable[[dict[str, float]], None] | None,
    ) -> None:
        measured: list[dict[str, float] | None] = [None]
        with self.whole_model(model) as whole:
            if state.is_world_process_zero:
                measured = [self._measure(whole, state.global_step)]
        if PartialState().num_processes > 1:
            broadcast_object_list(measured)
        metrics = measured[0] or {}
        value = float(metrics[self.metric])
        if value > self.best_value:
            self.best_value, self.best_step, self.worse = value, state.global_step, 0
        else:
            self.worse += 1
        self.last_step = state.global_step
        row = {f"validation_{name}": float(metrics[name]) for name in metrics}
        if log is None:
            state.log_history.append({"step": state.global_step, **row})
        else:
            log(row)  # it goes to the history as well
        logger.info(
            "step %d: validation %s %.4f (best %.4f at step %d)",
            state.global_step,
            self.metric,
            value,
            self.best_value,
            self.best_step,
        )
        control.should_save = True
        if self.stopped:
            logger.info("no better %s for %d evaluations: training stops", self.metric, self.worse)
            control.should_training_stop = True

    def _measure(self, model: Any, step: int) -> dict[str, float]:
        with self.averaging.applied() if self.averaging is not None else nullcontext():
            metrics = dict(self.evaluator.evaluate(self.make_ranker(model)).metrics)
            if metrics[self.metric] > self.best_value:
                self._keep(model, step, metrics[self.metric])
        return metrics

    def _keep(self, model: Any, step: int, value: float) -> None:
        facts = {"step": step, self.metric: float(value)}
        with saved_artifact(self.folder, kind="best_weights", facts=facts) as temporary:
            save_weights(model, temporary)

    def best_weights(self) -> Path:
        """Folder of the best weights, checked.

        Raises:
            ArtifactError: Training ended before a first evaluation, or the folder was damaged.
        """
        open_artifact(self.folder, kind="best_weights")
        return self.folder
