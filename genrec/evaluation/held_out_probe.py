"""The probe of held-out interactions: IDs and vectors must not change when only held-out items change.

Does not know how IDs or vectors are made: it calls a function that makes them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from genrec.data import InteractionLog, Split
from genrec.errors import DataError
from genrec.evaluation.leak_probes import target_rows


def check_held_out(
    what: str,
    build: Callable[[InteractionLog], np.ndarray],
    log: InteractionLog,
    split: Split,
    seed: int = 0,
) -> None:
    """Builds twice, from the log and from one with other held-out items, and compares byte by byte.

    `build` must do all that depends on interactions, the split included, from the log it is given: it is the
    mistake of using more than the training part that the probe is for.

    Args:
        what: What is built, for errors: "Semantic IDs", "co-occurrence vectors".
        build: Log -> codes or vectors, one row an item, in an order that does not depend on the log.
        log: The whole log.
        split: Its parts, as the recipe cuts it.
        seed: Of the change.

    Raises:
        DataError: Rows differ; or they differ between two builds from the same log.
    """
    measured, changed = build(log), build(altered_held_out(log, split, seed))
    if not (same := _same_rows(measured, changed)).all():
        repeated = bool(_same_rows(measured, build(log)).all())
        raise DataError(
            f"{what} were made from held-out interactions, so they know the answers"
            if repeated
            else f"{what} differ each time they are made, so it cannot be told what they were made from",
            received=f"{int((~same).sum())} of {len(same)} rows changed with the validation and test items",
            remedy="make them from split.train alone" if repeated else "give everything random a seed",
        )


def altered_held_out(log: InteractionLog, split: Split, seed: int = 0) -> InteractionLog:
    """The log with other items in place of the validation and test targets; all else stays.

    The targets of each set are renamed among each other: every item that is a target somewhere becomes
    another one that is, the same one wherever it is a target. So counts, pairs and orders change, while the
    items of the log, the users, the times and the training part do not.

    Args:
        log: The log that was split.
        split: Its parts.
        seed: Of the renaming.
    """
    items = log.items.copy()
    generator = np.random.default_rng(seed)
    for cases in (split.validation, split.test):
        rows = target_rows(log, cases)
        targets = np.unique(items[rows])
        order = generator.permutation(len(targets))
        renamed = np.empty_like(targets)
        renamed[order] = targets[np.roll(order, 1)]  # one cycle: no item keeps its name
        items[rows] = renamed[np.searchsorted(targets, items[rows])]
    names = pa.DictionaryArray.from_arrays(pa.array(items), pa.array(log.item_ids, pa.large_string()))
    place = log.table.column_names.index("item_id")
    return InteractionLog.from_table(log.table.set_column(place, "item_id", names), time=log.time_kind)


def _same_rows(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which rows hold the same bytes, bool `[rows]`; none where the arrays are of another shape or type."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return np.zeros(max(len(one), 1), dtype=bool)
    flat = [np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8) for array in (one, other)]
    same: np.ndarray = (flat[0] == flat[1]).all(axis=1)
    return same
