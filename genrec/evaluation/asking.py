"""Asks a ranker for the lists of all cases, a bounded number at a time, in one process or in several.

Does not know what a case is: it hands case numbers to a function, and takes masked items out of what comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from genrec.errors import DataError
from genrec.evaluation.metrics import repeated
from genrec.evaluation.run import BLANK, INVALID, REPEAT, moved_up

if TYPE_CHECKING:
    from accelerate import PartialState

CASES_AT_ONCE = 1024

Rank = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def asked_lists(
    name: str,
    rank: Rank,
    rows: Mapping[str, int],
    masked: Sequence[Sequence[int]],
    sizes: Sequence[int],
    k: int,
    processes: PartialState | None = None,
) -> tuple[np.ndarray, float]:
    """The ranker's lists of all cases, without the masked items.

    A case is asked for as many more items as are masked in it. Cases with equally many masked items and of
    like size share a call; whole calls are dealt out to the processes, so that what a call holds does not
    depend on how many there are.

    Args:
        name: The ranker's name.
        rank: Case numbers int64 `[batch]` and a length -> item ids and scores, as a `Ranker` returns them.
        rows: Item id -> row, of the whole catalog.
        masked: Rows that are taken out of each case's list.
        sizes: Length of each case's history or text.
        k: Items a list.
        processes: The processes of a launch, all of which call this with the same arguments and get the same
            answer; None = this process alone.

    Returns:
        int64 `[cases, k]` of rows, `BLANK`, `INVALID` and `REPEAT`; and the seconds the ranker took, of the
        slowest process.

    Raises:
        DataError: The ranker returned lists of another shape than it was asked for.
    """
    place, world = (0, 1) if processes is None else (processes.process_index, processes.num_processes)
    lists = np.full((len(masked), k), BLANK, dtype=np.int64)
    counts = np.array([len(row) for row in masked], dtype=np.int64)
    seconds = 0.0
    mine: list[np.ndarray] = []
    with tqdm(
        total=len(masked), desc=f"evaluating {name}", unit="case", disable=None if place == 0 else True
    ) as progress:
        for number, (chosen, more) in enumerate(_batches(counts, np.asarray(sizes))):
            progress.update(len(chosen))
            if number % world != place:
                continue
            began = time.perf_counter()
            found = _rows_of(name, rank(chosen, k + more), (len(chosen), k + more), rows)
            seconds += time.perf_counter() - began
            found = _without([masked[i] for i in chosen], found)[:, :k]  # [batch, k]
            fillable = np.arange(k) < len(rows) - more  # [k]
            found = np.where((found == BLANK) & fillable, INVALID, found)
            lists[chosen] = np.where(repeated(found), REPEAT, found)
            mine.append(chosen)
    if world > 1:
        seconds = _gather(lists, np.concatenate([np.zeros(0, dtype=np.int64), *mine]), seconds)
    return lists, seconds


def _batches(counts: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Cases with equally many masked items, the shortest first, and how many items are masked in each."""
    order = np.lexsort((sizes, counts))  # stable
    for masked in np.unique(counts).tolist():
        chosen = order[counts[order] == masked]
        for start in range(0, len(chosen), CASES_AT_ONCE):
            yield chosen[start : start + CASES_AT_ONCE], masked


def _rows_of(
    name: str, ranked: tuple[np.ndarray, np.ndarray], shape: tuple[int, int], rows: Mapping[str, int]
) -> np.ndarray:
    """Lists of item ids as rows of the catalog, int64 `[batch, k]`."""
    items, scores = ranked
    if items.shape != shape or scores.shape != items.shape:
        raise DataError(
            f"the ranker {name!r} returned lists of a wrong shape",
            received=f"items {items.shape}, scores {scores.shape}, asked for {shape}",
            remedy="return arrays [histories, k], filled up with '' and minus infinity",
        )
    found = [rows.get(item, INVALID) if item else BLANK for item in items.ravel().tolist()]
    return np.array(found, dtype=np.int64).reshape(items.shape)


def _without(masked: Sequence[Sequence[int]], lists: np.ndarray) -> np.ndarray:
    """Takes masked items out and moves what follows up; blanks fill the end."""
    columns = np.array(masked, dtype=np.int64).reshape(len(lists), -1).T  # [masked of a case, batch]
    if not len(columns):
        return lists
    out = np.zeros(lists.shape, dtype=bool)
    for column in columns:
        out |= lists == column[:, None]
    return moved_up(np.where(out, BLANK, lists), out)


def _gather(lists: np.ndarray, mine: np.ndarray, seconds: float) -> float:
    """Fills in the lists of the other processes; returns the seconds of the slowest."""
    from accelerate.utils import gather_object

    for chosen, found, taken in gather_object([(mine, lists[mine], seconds)]):
        lists[chosen] = found
        seconds = max(seconds, taken)
    return seconds
