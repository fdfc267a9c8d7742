"""Leak probes on a split: histories that hold their answer, and training data from the future.

Does not know rankers. The row-order probe and the probe of held-out interactions have modules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.data import Cases, InteractionLog, Split
from genrec.errors import DataError

# A leak multiplies the odds of a target in its own history; longer histories alone do not do it so far.
SMALLEST_ODDS_RATIO = 3.0
LARGEST_P = 1e-3
USERS = 20_000


@dataclass(frozen=True)
class LeakReport:
    """What the probes found on a split that passed them.

    Attributes:
        cases: Test cases looked at.
        targets_in_history: Share of them whose target stands in the history already.
        repeats_in_training: The same share for the last training interaction of each user.
        later_training: Mean share of the training interactions that happened after a case's target; None
            where the log knows the order within each user only.
        later_items: Mean share of the log's items that nobody had had yet at the moment of a case; None as
            above.
        held_out: Which IDs or vectors stayed the same, byte for byte, when the held-out items were changed.
    """

    cases: int
    targets_in_history: float
    repeats_in_training: float
    later_training: float | None = None
    later_items: float | None = None
    held_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()
        }

    def lines(self) -> dict[str, str]:
        """What a report says, probe -> words."""
        found = {
            "targets in their history": f"{self.targets_in_history:.2%} of {self.cases} cases "
            f"({self.repeats_in_training:.2%} of training users' last interactions)"
        }
        if self.later_training is not None and self.later_items is not None:
            found["training data from the future"] = (
                f"{self.later_training:.2%} of the training interactions are later than the case (mean); "
                f"{self.later_items:.2%} of the items were not there yet"
            )
        if self.held_out:
            found["held-out interactions changed"] = (
                f"{' and '.join(self.held_out)} stay the same, byte for byte"
            )
        return found


def check_leaks(
    log: InteractionLog, split: Split, *, by_time: bool = False, held_out: Sequence[str] = ()
) -> LeakReport:
    """Runs the probes that need no model on the test cases.

    Args:
        log: The log that was split.
        split: Its parts.
        by_time: Whether the split promises that training ends before the first test case.
        held_out: What `check_held_out` passed, for the report.

    Raises:
        DataError: A history that is not what its user had before the target; targets that stand in their
            histories far more often than in training; or, with `by_time`, training data from the future.
    """
    target_rows(log, split.validation)
    rows = target_rows(log, split.test)
    here, before = check_targets(split.test, split.train)
    training, items = check_future(log, split.train, rows, by_time=by_time) or (None, None)
    return LeakReport(len(rows), here, before, training, items, tuple(held_out))


def target_rows(log: InteractionLog, cases: Cases) -> np.ndarray:
    """Row of the log that each case asks for, int64 `[cases]`.

    Raises:
        DataError: A case's history and target are not what the log says its user had, in that order, from the
            first on. An answer that slipped into a history is found here.
    """
    user_of = {user: number for number, user in enumerate(log.user_ids)}
    flat = np.array(log.item_ids, dtype=object)[log.items].tolist()
    rows = np.empty(len(cases), dtype=np.int64)
    for i, (user, history, target) in enumerate(
        zip(cases.user_ids, cases.histories, cases.targets, strict=True)
    ):
        number = user_of.get(user)
        start, end = (0, 0) if number is None else log.offsets[number : number + 2].tolist()
        rows[i] = start + len(history)
        if rows[i] >= end or tuple(flat[start : rows[i] + 1]) != (*history, target):
            raise DataError(
                "the history of a case is not what its user had before the target",
                received=f"a history of {len(history)} items in case {i}, of a user with {end - start} "
                "interactions",
                remedy="make cases with the splits of InteractionLog; no history may hold its answer",
            )
    return rows


def check_targets(cases: Cases, train: InteractionLog) -> tuple[float, float]:
    """Compares how often a target stands in its own history with how often that happens in training.

    People may come back for the same item; then they do so in training too. Far more targets in the cases'
    histories than that are answers that slipped in.

    Returns:
        The share of the cases, and the share of training users whose last interaction is a repeat.

    Raises:
        DataError: The odds in the cases are 3 times those in training, and not by chance (p <= 0.001,
            Fisher's exact test).
    """
    from scipy.stats import fisher_exact

    inside = sum(t in h for h, t in zip(cases.histories, cases.targets, strict=True))
    ends = train.offsets[1:][np.diff(train.offsets) >= 2]
    starts = train.offsets[:-1][np.diff(train.offsets) >= 2]
    chosen = np.linspace(0, len(ends) - 1, min(len(ends), USERS)).astype(np.int64)
    spans = zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True)
    repeats = sum(bool((train.items[start : end - 1] == train.items[end - 1]).any()) for start, end in spans)
    share, expected = inside / max(len(cases), 1), repeats / max(len(chosen), 1)
    table = [[inside, len(cases) - inside], [repeats, len(chosen) - repeats]]
    p_value = float(fisher_exact(table, alternative="greater").pvalue)
    odds = share * (1 - expected) > SMALLEST_ODDS_RATIO * expected * (1 - share)
    if p_value <= LARGEST_P and odds:
        raise DataError(
            "targets stand in their own histories far more often than in training, so the answers leak",
            received=f"{share:.1%} of {len(cases)} cases, {expected:.1%} of the last interactions of "
            f"{len(chosen)} training users (p = {p_value:.2g})",
            remedy="check how the histories were cut: the target comes after the last item of its history",
        )
    return share, expected


def check_future(
    log: InteractionLog, train: InteractionLog, rows: np.ndarray, *, by_time: bool
) -> tuple[float, float] | None:
    """Looks for training interactions and items later than the cases, where users share one clock.

    Leave-one-out trains on what others did after a case: that is its known weakness, so it is told, not
    refused. A split by time must have none of it.

    Args:
        log: The whole log.
        train: The training part.
        rows: The row of the log each case asks for, int64 `[cases]`.
        by_time: Whether the split promises that training ends before the first case.

    Returns:
        Mean share of the training interactions, and of the items, that are later than a case; None where the
        log knows the order within each user only.

    Raises:
        DataError: A training interaction at or after the first case, with `by_time`.
    """
    if log.time_kind != "absolute" or log.times is None or train.times is None or not len(rows):
        return None
    moments = log.times[rows]  # [cases]
    newest, first = int(train.times.max()), int(moments.min())
    if by_time and newest >= first:
        late = int((train.times >= first).sum())
        raise DataError(
            "the training data reaches into the time of the cases, so their numbers cannot be trusted",
            received=f"{late} of {len(train)} training interactions at or after stamp {first}, the newest at "
            f"{newest}",
            remedy="cut training and cases at the same moment, as InteractionLog.time_split does",
        )
    debut = np.full(len(log.item_ids), np.iinfo(np.int64).max)
    np.minimum.at(debut, log.items, log.times)
    return _later(train.times, moments), _later(debut, moments)


def _later(times: np.ndarray, moments: np.ndarray) -> float:
    """Mean share of the times after a moment."""
    return float(1 - np.searchsorted(np.sort(times), moments, side="right").mean() / len(times))
