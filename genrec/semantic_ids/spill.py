"""Placement of items whose prefix is over capacity: the next-nearest prefix with room.

Does not know items or quantizers; it is a pure function over arrays and a distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from tqdm.auto import tqdm

from genrec.semantic_ids.code_groups import sort_rows

_ROWS, _PREFIXES = 256, 16_384  # distances are computed in blocks of this size
_KEPT = 64  # nearest prefixes remembered for each row of a block


def place_spilled(
    codes: np.ndarray,
    spilled: np.ndarray,
    taken: np.ndarray,
    codebook_sizes: Sequence[int],
    vectors: np.ndarray,
    prefix_distances: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> None:
    """Writes a prefix with room into each spilled row of `codes`, one row after the other.

    Candidates are the prefixes in use, the unused ones that differ from an overfull prefix in its last code
    only, and as many further unused ones, in the order of their codes, as are needed for all rows to find
    room. Equally near candidates are taken in the order of their codes.

    Args:
        codes: int32 ``[n, L]``, changed in place.
        spilled: Rows to place, ascending; the other rows fit into their prefixes.
        taken: int32 ``[t, L]``, IDs that other items have.
        codebook_sizes: Codes of each position; all rows together fit into them.
        vectors: float ``[n, d]``.
        prefix_distances: ``(vectors[m, d], prefixes[p, L - 1]) -> [m, p]``.
    """
    staying = np.ones(len(codes), dtype=bool)
    staying[spilled] = False
    prefixes, room = _candidates(codes[staying], codes[spilled], taken, codebook_sizes)
    for start in tqdm(range(0, len(spilled), _ROWS), desc="spilling", disable=None):
        rows = spilled[start : start + _ROWS]
        open_prefixes = np.flatnonzero(room > 0)
        nearest = _nearest(vectors[rows], prefixes, open_prefixes, prefix_distances)  # [rows, kept]
        for row, choices in zip(rows, nearest, strict=True):
            left = choices[room[choices] > 0]
            if not len(left):  # all that were remembered are full by now
                open_prefixes = np.flatnonzero(room > 0)
                left = _nearest(vectors[row][None], prefixes, open_prefixes, prefix_distances)[0]
            codes[row, :-1] = prefixes[left[0]]
            room[left[0]] -= 1


def _candidates(
    staying: np.ndarray, spilled: np.ndarray, taken: np.ndarray, sizes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Prefixes int32 ``[p, L - 1]``, sorted, and their numbers of free last codes, int64 ``[p]``."""
    occupied = np.concatenate([taken, staying])[:, :-1]
    siblings = np.repeat(_distinct(spilled[:, :-1]), sizes[-2], axis=0)
    siblings[:, -1] = np.tile(np.arange(sizes[-2]), len(siblings) // sizes[-2])
    prefixes = _distinct(np.concatenate([occupied, siblings]))
    room = _room(prefixes, occupied, sizes[-1])
    missing = len(spilled) - int(room.sum())
    if missing > 0:
        known = {tuple(prefix) for prefix in prefixes.tolist()}
        unused = _unused(known, sizes[:-1])
        more = [next(unused) for _ in range(math.ceil(missing / sizes[-1]))]
        prefixes = _distinct(np.concatenate([prefixes, np.array(more, dtype=np.int32)]))
        room = _room(prefixes, occupied, sizes[-1])
    return prefixes, room


def _room(prefixes: np.ndarray, occupied: np.ndarray, width: int) -> np.ndarray:
    """Free last codes of distinct, sorted prefixes, given the prefixes of all placed rows."""
    order, starts = sort_rows(np.concatenate([prefixes, occupied]))
    sizes = np.diff(np.append(starts, len(order)))  # one group a prefix, in the same order
    return np.asarray(width - (sizes - 1))


def _distinct(rows: np.ndarray) -> np.ndarray:
    order, starts = sort_rows(rows)
    return np.asarray(rows[order[starts]])


def _unused(known: set[tuple[int, ...]], sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for number in range(math.prod(sizes)):
        rest, prefix = number, []
        for size in reversed(sizes):
            rest, code = divmod(rest, size)
            prefix.append(code)
        if (candidate := tuple(reversed(prefix))) not in known:
            yield candidate


def _nearest(
    vectors: np.ndarray,
    prefixes: np.ndarray,
    open_prefixes: np.ndarray,
    prefix_distances: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Up to 64 nearest of the open prefixes for each vector, nearest first, int64 ``[rows, kept]``.

    A distance and the number of its prefix make one sortable key: the bits of a float that is not negative
    sort as the float does.
    """
    kept = np.empty((len(vectors), 0), dtype=np.uint64)
    for start in range(0, len(open_prefixes), _PREFIXES):
        block = open_prefixes[start : start + _PREFIXES]
        distances = prefix_distances(vectors, prefixes[block]).astype(np.float32)  # [rows, block]
        bits = np.ascontiguousarray(np.abs(distances)).view(np.uint32).astype(np.uint64)
        keys = np.concatenate([kept, bits << np.uint64(32) | block.astype(np.uint64)], axis=1)
        most = min(_KEPT, keys.shape[1])
        kept = np.partition(keys, most - 1, axis=1)[:, :most]
    return (np.sort(kept, axis=1) & np.uint64(0xFFFFFFFF)).astype(np.int64)
