"""k-core filter and the three splits, on the flat arrays of a log.

Does not know files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genrec.data.canonical import canonical_order, id_hash
from genrec.data.cases import Cases, Split
from genrec.errors import DataError

if TYPE_CHECKING:
    from genrec.data.interactions import InteractionLog


def k_core(log: InteractionLog, k: int) -> InteractionLog:
    """Removes users and items with fewer than k interactions, again and again until none is left to remove.

    Interactions are counted, repeats included.

    Raises:
        DataError: k is below 1, or nothing is left.
    """
    if k < 1:
        raise DataError("a core needs k >= 1", received=f"k={k}", remedy="choose k >= 1, 5 is usual")
    users, items = log.users, log.items
    kept = np.arange(len(log))
    while True:
        enough = (np.bincount(users[kept])[users[kept]] >= k) & (np.bincount(items[kept])[items[kept]] >= k)
        if enough.all():
            break
        kept = kept[enough]
        if not len(kept):
            raise DataError(
                f"the {k}-core of the log is empty",
                received=f"{len(log)} interactions, {len(log.user_ids)} users, {len(log.item_ids)} items",
                remedy="choose a smaller k",
            )
    return log if len(kept) == len(log) else log.take(kept)


def leave_one_out(log: InteractionLog) -> Split:
    """Cuts the last interaction of each user for the test and the one before it for the validation.

    For a user with n >= 3 interactions: test case = (the first n - 1, the n-th); validation case = (the first
    n - 2, the one after them); training = the first n - 2. Users with fewer than 3 interactions train with
    all they have and give no case. This is the protocol of SASRec (arXiv 1808.09781, section IV) over the
    full catalog.

    Raises:
        DataError: No user has 3 interactions.
    """
    ends = log.offsets[1:]
    lengths = np.diff(log.offsets)
    last = ends[lengths >= 3] - 1
    if not len(last):
        raise DataError(
            "no user has a test, a validation and a training interaction",
            received=f"{len(lengths)} users with at most {lengths.max()} interactions",
            remedy="leave-one-out needs users with 3 interactions or more",
        )
    train = np.ones(len(log), dtype=bool)
    train[last] = train[last - 1] = False
    build = _CaseBuilder(log)
    rule = (
        "leave-one-out: each user's last interaction is the test, the one before it the validation; "
        "users with fewer than 3 interactions only train"
    )
    return Split(log.take(train), build.cases(last - 1), build.cases(last), rule)


def time_split(log: InteractionLog, validation_share: float, test_share: float) -> Split:
    """Cuts all users at the same two moments.

    The latest `round(n * test_share)` of the n interactions are the test window, the `validation_share`
    before them the validation window; where the first stamp of a window stands before it too, the window
    starts with all that have it. Training = everything before the validation window. Per user and window one
    case: history = everything of the user before the window starts (for the test window the validation window
    included), target = the user's first interaction in the window. Users with nothing before a window have no
    history and give no case in it.

    Raises:
        DataError: The log knows the order only, the shares are not within (0, 1), or a part is empty.
    """
    times = log.times
    if log.time_kind != "absolute" or times is None:
        raise DataError(
            "a split by time needs absolute times, and this log knows the order within each user only",
            received=f"time_kind={log.time_kind!r}",
            remedy='use leave_one_out(), or read it with time="absolute" if users share one clock',
        )
    if not (validation_share > 0 and test_share > 0 and validation_share + test_share < 1):
        raise DataError(
            "the shares leave nothing for a part",
            received=f"validation_share={validation_share}, test_share={test_share}",
            remedy="choose shares above 0 that sum to less than 1",
        )
    n, ordered = len(log), np.sort(times)
    test_cut = ordered[min(n - round(n * test_share), n - 1)]
    validation_cut = ordered[min(n - round(n * (test_share + validation_share)), n - 1)]
    before = times < validation_cut
    build = _CaseBuilder(log)
    validation = build.window(times >= validation_cut, times < test_cut)
    test = build.window(times >= test_cut, np.ones(len(log), dtype=bool))
    rule = (
        f"global time split: validation from stamp {validation_cut}, test from stamp {test_cut} (shares "
        f"{validation_share}, {test_share}); one case per user and window, the first interaction in it; "
        "users with nothing before a window give no case in it"
    )
    _require_parts(before, validation, test, "choose other shares: many interactions may have the same stamp")
    return Split(log.take(before), validation, test, rule)


def cold_item_split(log: InteractionLog, share: float, seed: int = 0) -> Split:
    """Holds a share of the items back, so that they occur in no training interaction.

    The items are ordered by the sha256 of "<seed>:<item_id>" and the first `round(share * items)` (at least
    2) are cold; the even ranks among them belong to the validation, the odd ones to the test. A user's
    interactions before the first cold one train; that cold interaction is a case with them as history, in the
    set its item belongs to; what comes after it is unused. A user who starts with a cold item has no history
    and gives no case. Warm items that occur after cold ones only are in no training interaction either.

    Raises:
        DataError: The share is not within (0, 1), or a part is empty.
    """
    if not 0 < share < 1:
        raise DataError(
            "the share of cold items must lie between 0 and 1",
            received=f"share={share}",
            remedy="0.1 is usual",
        )
    ranked = sorted(range(len(log.item_ids)), key=lambda index: id_hash(log.item_ids[index], seed))
    cold = ranked[: max(2, round(share * len(ranked)))]
    group = np.zeros(len(ranked), dtype=np.int8)  # 0 warm, 1 validation, 2 test
    group[cold[::2]] = 1
    group[cold[1::2]] = 2
    group = group[log.items]  # [interactions]
    rows = np.arange(len(log))
    cold_rows = np.append(rows[group > 0], len(log))
    first = cold_rows[np.searchsorted(cold_rows, log.offsets[:-1])]  # [users]
    first = np.minimum(first, log.offsets[1:])
    train = rows < first[log.users]
    targets = first[(first < log.offsets[1:]) & (first > log.offsets[:-1])]
    build = _CaseBuilder(log)
    validation, test = (build.cases(targets[group[targets] == g]) for g in (1, 2))
    rule = (
        f"cold items: {len(cold)} of {len(ranked)} items (share {share}, seed {seed}) are in no training "
        "interaction; a user's first cold interaction is the case, what comes before it trains"
    )
    _require_parts(train, validation, test, "choose another share or seed, or take a larger log")
    held_out = tuple(canonical_order([log.item_ids[index] for index in cold]))
    return Split(log.take(train), validation, test, rule, held_out)


def _require_parts(train: np.ndarray, validation: Cases, test: Cases, remedy: str) -> None:
    counts = {"training": int(train.sum()), "validation": len(validation), "test": len(test)}
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise DataError(
            f"the split leaves nothing for {' and '.join(empty)}",
            received=", ".join(f"{name}: {count}" for name, count in counts.items()),
            remedy=remedy,
        )


class _CaseBuilder:
    """Turns positions in the flat arrays into cases; the item ids are laid out once for all of them."""

    def __init__(self, log: InteractionLog) -> None:
        self.offsets = log.offsets
        self.user_ids = log.user_ids
        self.flat: list[str] = np.array(log.item_ids, dtype=object)[log.items].tolist()

    def cases(self, targets: np.ndarray) -> Cases:
        """One case per target row; what the user has before it is the history."""
        users = np.searchsorted(self.offsets, targets, side="right") - 1  # [cases]
        spans = zip(self.offsets[users].tolist(), targets.tolist(), strict=True)
        return Cases(
            tuple(self.user_ids[user] for user in users.tolist()),
            tuple(tuple(self.flat[start:end]) for start, end in spans),
            tuple(self.flat[target] for target in targets.tolist()),
        )

    def window(self, started: np.ndarray, not_over: np.ndarray) -> Cases:
        """One case per user: the first row since the window started, if it lies in it and has a history."""
        count = np.concatenate([[0], np.cumsum(~started)])
        starts, ends = self.offsets[:-1], self.offsets[1:]
        first = starts + count[ends] - count[starts]  # [users], rows are in time order within a user
        first = first[(first > starts) & (first < ends)]
        first = first[not_over[first]]
        return self.cases(first)
