"""Evaluation during training: the best weights are kept, patience stops, a resumed run remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState

from genrec.artifacts import open_artifact
from genrec.errors import ArtifactError, ConfigError
from genrec.evaluation import RetrievalCallback
from genrec.training import WeightAveraging


class Model(torch.nn.Linear):
    """Two weights that can be saved as a transformers model is."""

    def save_pretrained(self, folder: Path) -> None:
        (folder / "weight.txt").write_text(str(self.weight.item()))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Plays training: one value of the metric an evaluation, every two steps."""

    def play(
        values: list[float], start: int = 0, kept: Any = None, averaging: bool = False, **options: Any
    ) -> Any:
        model = Model(1, 1, bias=False)
        average = WeightAveraging(model, 0.5) if averaging else None
        queue = iter(values)
        evaluator: Any = SimpleNamespace(
            ks=(10,), evaluate=lambda ranker: SimpleNamespace(metrics={"ndcg@10": next(queue)})
        )
        seen: list[float] = []
        callback = RetrievalCallback(
            evaluator,
            lambda m: seen.append(m.weight.item()),
            tmp_path,
            every_steps=2,
            averaging=average,
            **options,
        )
        state, control = TrainerState(global_step=start), TrainerControl()
        state.stateful_callbacks = {"RetrievalCallback": kept} if kept else {}
        arguments: Any = None
        if average is not None:
            average.on_train_begin(arguments, state, control)
        callback.on_train_begin(arguments, state, control)
        saves = []
        for step in range(start + 1, start + 2 * len(values) + 1):
            state.global_step = step
            control.should_save = False
            torch.nn.init.constant_(model.weight, float(step))
            if average is not None:
                average.on_step_end(arguments, state, control)
            callback.on_step_end(arguments, state, control, model=model)
            if control.should_save:
                saves.append(step)
            if control.should_training_stop:
                break
        return SimpleNamespace(
            callback=callback,
            state=state,
            control=control,
            model=model,
            saves=saves,
            seen=seen,
            folder=tmp_path,
        )

    return play


def test_a_metric_that_is_not_measured_is_told_before_training(tmp_path: Path) -> None:
    evaluator: Any = SimpleNamespace(ks=(5, 20))
    with pytest.raises(ConfigError, match=r"metric='ndcg@10', measured recall@5, ndcg@5, recall@20, ndcg@20"):
        RetrievalCallback(evaluator, lambda model: model, tmp_path, every_steps=2)


def test_the_best_weights_are_kept_and_every_evaluation_asks_for_a_checkpoint(
    run: Callable[..., Any],
) -> None:
    played = run([0.1, 0.3, 0.2])
    assert (played.callback.best_value, played.callback.best_step) == (0.3, 4)
    assert (played.callback.best_weights() / "weight.txt").read_text() == "4.0"
    assert played.saves == [2, 4, 6]
    assert not played.control.should_training_stop
    assert open_artifact(played.folder / "best", kind="best_weights") == {"step": 4, "ndcg@10": 0.3}


def test_patience_counts_evaluations_without_a_better_value(run: Callable[..., Any]) -> None:
    played = run([0.5, 0.5, 0.4, 0.9], patience=2)
    assert played.state.global_step == 6
    assert played.control.should_training_stop
    assert played.callback.best_step == 2


def test_averaged_weights_are_what_is_measured_and_kept(run: Callable[..., Any]) -> None:
    played = run([0.1], averaging=True)
    assert played.seen[0] != 2.0
    assert (played.callback.best_weights() / "weight.txt").read_text() == str(played.seen[0])
    assert played.model.weight.item() == 2.0


def test_a_resumed_run_takes_up_what_the_checkpoint_kept(run: Callable[..., Any]) -> None:
    first = run([0.5, 0.4], patience=2)
    again = run([0.45], start=4, kept=first.callback.state(), patience=2)
    assert again.control.should_training_stop
    assert (again.callback.best_value, again.callback.best_step) == (0.5, 2)
    assert (again.callback.best_weights() / "weight.txt").read_text() == "2.0"
    stopped = run([0.9], start=6, kept=again.callback.state(), patience=2)
    assert stopped.control.should_training_stop
    assert stopped.seen == []  # it stops again without another look
    stopped.callback.on_train_end(None, stopped.state, stopped.control, model=stopped.model)
    assert stopped.seen == []


def test_a_new_run_starts_without_old_best_weights(run: Callable[..., Any]) -> None:
    run([0.5])
    again = run([])
    with pytest.raises(ArtifactError, match="there is no folder"):
        again.callback.best_weights()


def test_the_end_of_training_is_evaluated_unless_it_just_was(run: Callable[..., Any]) -> None:
    played = run([0.1, 0.2])
    played.callback.on_train_end(None, played.state, played.control, model=played.model)
    assert len(played.seen) == 2
    played.state.global_step = 5
    with pytest.raises(StopIteration):  # the next value is asked for
        played.callback.on_train_end(None, played.state, played.control, model=played.model)


def test_trackers_get_what_is_measured_while_training_runs(run: Callable[..., Any]) -> None:
    told: list[dict[str, float]] = []
    played = run([0.1, 0.3], log=told.append)
    assert told == [{"validation_ndcg@10": 0.1}, {"validation_ndcg@10": 0.3}]
    assert played.state.log_history == []  # the trainer's own log writes it there
    assert run([0.1]).state.log_history == [{"step": 2, "validation_ndcg@10": 0.1}]


def test_what_is_measured_at_the_end_goes_to_the_history_as_trackers_are_closed(
    run: Callable[..., Any],
) -> None:
    told: list[dict[str, float]] = []
    played = run([0.1], log=told.append)
    played.state.global_step = 3
    played.callback.evaluator = SimpleNamespace(
        evaluate=lambda ranker: SimpleNamespace(metrics={"ndcg@10": 0.4})
    )
    played.callback.on_train_end(None, played.state, played.control, model=played.model)
    assert told == [{"validation_ndcg@10": 0.1}]
    assert played.state.log_history == [{"step": 3, "validation_ndcg@10": 0.4}]
