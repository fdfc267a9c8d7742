"""Work on blocks of rows by several threads, with the result of one.

Does not know what is computed. The blocks are the same whatever the number of threads, and each is computed
on one thread, so a machine with more cores rounds no differently.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from tqdm.auto import tqdm

BLOCK = 4_096  # rows computed at once
_LONG = 64  # blocks from which on a progress bar is shown

Result = TypeVar("Result")


@contextlib.contextmanager
def blas_on_one_thread() -> Iterator[int]:
    """Holds the linear algebra libraries to one thread, and gives how many they would have used.

    `OMP_NUM_THREADS` and `threadpoolctl` limit that number.
    """
    from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

    threads = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    with threadpool_limits(limits=1, user_api="blas"):
        yield max(threads, default=1)


def each_block(
    function: Callable[[slice], Result],
    rows: int,
    *,
    threads: int,
    block: int = BLOCK,
    progress: str | None = None,
) -> Iterator[Result]:
    """Yields what `function` gives for each block of so many rows, in order; few results are held at once.

    Args:
        function: From a block's slice to its result; called from several threads.
        rows: Number of rows; 0 gives one empty block.
        threads: Threads at most; take them from `blas_on_one_thread`, and call it inside.
        block: Rows a block.
        progress: Words of the progress bar for many blocks; None = none.
    """
    slices = [slice(start, min(start + block, rows)) for start in range(0, rows, block)] or [slice(0, 0)]
    hidden = None if progress is not None and len(slices) >= _LONG else True
    threads = min(threads, len(slices))
    with tqdm(total=rows, desc=progress, unit="row", unit_scale=True, disable=hidden) as bar:
        if threads == 1:
            for one in slices:
                yield function(one)
                bar.update(one.stop - one.start)
            return
        with ThreadPoolExecutor(threads) as pool:
            waiting = deque(pool.submit(function, one) for one in slices[: 2 * threads])
            for number, one in enumerate(slices, start=2 * threads):
                found = waiting.popleft().result()
                if number < len(slices):
                    waiting.append(pool.submit(function, slices[number]))
                yield found
                bar.update(one.stop - one.start)


def joined_blocks(
    function: Callable[[slice], np.ndarray], rows: int, *, progress: str | None = None
) -> np.ndarray:
    """Joins what `function` gives for each block's slice: a result with as many rows as the block."""
    if rows <= BLOCK:
        return function(slice(0, rows))
    joined: np.ndarray | None = None
    start = 0
    with blas_on_one_thread() as threads:
        for part in each_block(function, rows, threads=threads, progress=progress):
            if joined is None:
                joined = np.empty((rows, *part.shape[1:]), dtype=part.dtype)
            joined[start : start + len(part)] = part
            start += len(part)
    return joined if joined is not None else function(slice(0, 0))


def in_blocks(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, *, progress: str | None = None
) -> np.ndarray:
    """Applies `function` to blocks of rows, each handed over as float64, and joins the results.

    Args:
        function: From a block ``[b, d]`` to a result with `b` rows; called from several threads.
        rows: ``[n, d]``, mapped from disk or in memory.
        progress: See `each_block`.
    """
    return joined_blocks(lambda one: function(rows[one].astype(np.float64)), len(rows), progress=progress)
