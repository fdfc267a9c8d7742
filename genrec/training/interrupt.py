"""A polite stop: SIGTERM or a first Ctrl-C lets the step under way end, then a checkpoint is written.

Does not know how a checkpoint is written: it asks the trainer for one and leaves when that is done.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from genrec.errors import TrainingInterrupted
from genrec.training.processes import any_process, process_state

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class PoliteStop(TrainerCallback):
    """Turns a signal into a checkpoint at the next step's end and a `TrainingInterrupted`.

    As a context manager it listens for the signals (from the main thread only: elsewhere Python allows no
    handler, and signals do what they did before). As a callback it asks all processes at every step, so that
    they stop at the same one though the signal reached them at different times.

    A second Ctrl-C ends a run of one process at once. In a launch it is taken for the first one, because a
    launcher passes on to its processes what the terminal has sent them already.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.stopping = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> PoliteStop:
        """Starts to listen."""
        self.received, self.stopping = None, False
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Puts the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.received is signal.SIGINT and number == signal.SIGINT
        if again and process_state().num_processes == 1:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Agrees with the other processes whether this step is the last."""
        self.stopping = any_process(self.received is not None)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Asks for a checkpoint."""
        control.should_save = control.should_save or self.stopping

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leaves, now that the checkpoint is whole.

        Raises:
            TrainingInterrupted: A stop was asked for.
        """
        if self.stopping:
            raise TrainingInterrupted(
                f"training was stopped after step {state.global_step} of {state.max_steps}; "
                f"its checkpoint is written",
                received=self.received.name if self.received else "a signal to another process",
                remedy=f"run the same command again: it goes on from checkpoint-{state.global_step} in "
                f"{args.output_dir} and ends as if it had never stopped",
            )
