"""Collision policy `matching`: within each prefix, items and last codes are matched at the least total cost.

Does not know items or quantizers; it is a pure function over arrays and two distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from tqdm.auto import tqdm

from genrec.errors import SemanticIdError
from genrec.semantic_ids.code_groups import shared_rows, sort_rows
from genrec.semantic_ids.spill import place_spilled

Distances = Callable[[np.ndarray, np.ndarray], np.ndarray]
_CELLS = 4_000_000  # distances held at once


def resolve_matching(
    codes: np.ndarray,
    codebook_sizes: Sequence[int],
    vectors: np.ndarray,
    *,
    last_code_distances: Distances,
    prefix_distances: Distances,
    taken_codes: np.ndarray | None = None,
) -> np.ndarray:
    """Gives every row an ID of its own by changing last codes, and prefixes only where one is overfull.

    Follows the zero-collision resolver of CollisionGenRec: for each prefix with a collision, the matching of
    its rows to free last codes with the least total of `last_code_distances`. A prefix without a collision is
    left as it is. Of a prefix with more rows than free codes, the rows furthest from their own ID spill to
    the next-nearest prefix with room, before the matching.

    Args:
        codes: Native codes, int ``[n, L]``. Ties are broken by the order of the rows, so hand them over in
            canonical order.
        codebook_sizes: Codes of each position.
        vectors: float ``[n, d]``, only handed on to the two distances.
        last_code_distances: ``(vectors[m, d], codes[m, L]) -> [m, K]``, see `Quantizer`.
        prefix_distances: ``(vectors[m, d], prefixes[p, L - 1]) -> [m, p]``, see `Quantizer`.
        taken_codes: int ``[t, L]``, IDs that other items have already and keep.

    Returns:
        int32 ``[n, L]``, all different from each other and from `taken_codes`.

    Raises:
        SemanticIdError: There are more rows than free IDs.
    """
    resolved = np.array(codes, dtype=np.int32)
    length, width = len(codebook_sizes), codebook_sizes[-1]
    taken = np.empty((0, length), np.int32)
    if taken_codes is not None:
        taken = np.unique(np.asarray(taken_codes, np.int32), axis=0)
    if len(resolved) + len(taken) > math.prod(codebook_sizes):
        raise SemanticIdError(
            f"{len(resolved)} items do not fit into {math.prod(codebook_sizes)} Semantic IDs",
            received=f"codebook sizes {tuple(codebook_sizes)}, {len(taken)} IDs taken already",
            remedy="use a definition with more or larger codebooks",
        )
    unsettled = shared_rows(np.concatenate([taken, resolved]))[len(taken) :]
    spilled = _spilled(resolved, taken, width, vectors, last_code_distances)
    if len(spilled):
        place_spilled(resolved, spilled, taken, codebook_sizes, vectors, prefix_distances)
        unsettled[spilled] = True
    _match(resolved, unsettled, taken, width, vectors, last_code_distances)
    if shared_rows(np.concatenate([taken, resolved]))[len(taken) :].any():
        raise SemanticIdError("items still share a Semantic ID", remedy="report this: it must not happen")
    return resolved


def _groups(prefixes: np.ndarray) -> list[np.ndarray]:
    order, starts = sort_rows(prefixes)
    return np.split(order, starts[1:]) if len(order) else []


def _spilled(
    codes: np.ndarray, taken: np.ndarray, width: int, vectors: np.ndarray, last_code_distances: Distances
) -> np.ndarray:
    """Rows, ascending, that have no place in their prefix: those furthest from their own ID."""
    order, starts = sort_rows(np.concatenate([taken, codes])[:, :-1])
    sizes = np.diff(np.append(starts, len(order)))
    found = [np.empty(0, dtype=np.int64)]
    for start, size in zip(starts[sizes > width], sizes[sizes > width], strict=True):
        group = order[start : start + size]
        rows = group[group >= len(taken)] - len(taken)
        own = np.empty(len(rows), dtype=np.float32)
        step = max(1, _CELLS // width)
        for first in range(0, len(rows), step):
            part = rows[first : first + step]
            distances = last_code_distances(vectors[part], codes[part])  # [part, K]
            own[first : first + step] = distances[np.arange(len(part)), codes[part, -1]]
        room = width - (size - len(rows))
        found.append(rows[np.argsort(own, kind="stable")[max(room, 0) :]])
    return np.sort(np.concatenate(found))


def _match(
    codes: np.ndarray,
    unsettled: np.ndarray,
    taken: np.ndarray,
    width: int,
    vectors: np.ndarray,
    last_code_distances: Distances,
) -> None:
    """Sets the last codes of every prefix that has an unsettled row."""
    from scipy.optimize import linear_sum_assignment

    order, starts = sort_rows(np.concatenate([taken, codes])[:, :-1])
    members = order >= len(taken)
    open_rows = np.zeros(len(order), dtype=bool)
    open_rows[members] = unsettled[order[members] - len(taken)]
    touched = np.flatnonzero(np.logical_or.reduceat(open_rows, starts)) if len(order) else starts
    ends = np.append(starts[1:], len(order))
    counts = np.add.reduceat(members, starts) if len(order) else starts
    # Prefixes are taken together until their distances fill the memory set aside for them.
    blocks = np.cumsum(counts[touched]) * width // _CELLS
    cuts = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(touched)]
    with tqdm(total=len(touched), desc="matching", unit="prefix", disable=None) as progress:
        for first, last in pairwise(cuts):
            groups = [order[starts[g] : ends[g]] for g in touched[first:last]]
            rows = [group[group >= len(taken)] - len(taken) for group in groups]
            if not rows:
                continue
            together = np.concatenate(rows)
            distances = last_code_distances(vectors[together], codes[together])  # [rows, K]
            begin = 0
            for group, own in zip(groups, rows, strict=True):
                used = taken[group[group < len(taken)], -1]
                free = np.setdiff1d(np.arange(width), used)
                costs = distances[begin : begin + len(own)][:, free]  # [own, free]
                codes[own, -1] = free[linear_sum_assignment(costs)[1]]
                begin += len(own)
            progress.update(len(groups))
