"""Collision policy `sinkhorn_rounds`: items that share an ID are spread over last codes, round after round.

Does not know items or quantizers; it is a pure function over arrays and a distance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tqdm.auto import tqdm

from genrec.errors import SemanticIdError
from genrec.quantization.sinkhorn import EPSILON, centred, transport_plan
from genrec.semantic_ids.code_groups import shared_rows, sort_rows

ROUNDS = 20


def resolve_sinkhorn_rounds(
    codes: np.ndarray,
    codebook_sizes: Sequence[int],
    vectors: np.ndarray,
    *,
    last_code_distances: Callable[[np.ndarray, np.ndarray], np.ndarray],
    taken_codes: np.ndarray | None = None,
    rounds: int = ROUNDS,
) -> np.ndarray:
    """Changes last codes of rows that share an ID until none do (LC-Rec, arXiv 2311.09049, section 3.1.2).

    In each round, the rows of every shared ID get new last codes by the transport plan of Sinkhorn's
    algorithm between them and the codes of their prefix that no other item has for good: epsilon 0.003, 50
    iterations, centred distances. Rows that are alone on their ID keep it, unless a round moves others there.

    Args:
        codes: Native codes, int ``[n, L]``.
        codebook_sizes: Codes of each position.
        vectors: float ``[n, d]``, only handed on to the distance.
        last_code_distances: ``(vectors[m, d], codes[m, L]) -> [m, K]``, see `Quantizer`.
        taken_codes: int ``[t, L]``, IDs that other items have already and keep.
        rounds: Rounds at most.

    Returns:
        int32 ``[n, L]``, all different from each other and from `taken_codes`.

    Raises:
        SemanticIdError: A prefix has more rows than free last codes, or rows still share an ID after the last
            round; the error says which, and whether their vectors are equal.
    """
    resolved = np.array(codes, dtype=np.int32)
    taken = np.empty((0, len(codebook_sizes)), np.int32)
    if taken_codes is not None:
        taken = np.unique(np.asarray(taken_codes, np.int32), axis=0)
    _require_room(resolved, taken, codebook_sizes[-1])
    for _ in tqdm(range(rounds), desc="sinkhorn rounds", leave=False, disable=None):
        groups = _shared_groups(resolved, taken)
        if not groups:
            break
        for rows in groups:
            distances = last_code_distances(vectors[rows], resolved[rows]).astype(np.float64)  # [g, K]
            free = _free_codes(resolved[rows[0], :-1], taken, codebook_sizes[-1])
            plan = transport_plan(np.exp(-centred(distances[:, free]) / EPSILON))
            resolved[rows, -1] = free[plan.argmax(axis=1)]
    left = _shared_groups(resolved, taken)
    if left:
        equal = sum(len(rows) - len(np.unique(vectors[rows], axis=0)) for rows in left)
        raise SemanticIdError(
            f"{sum(map(len, left))} items still share a Semantic ID after {rounds} rounds of Sinkhorn",
            received=f"the ID {tuple(resolved[left[0][0]].tolist())} has {len(left[0])} of them; "
            + (
                f"{equal} have the vector of another one, so no distance can tell them apart"
                if equal
                else "no two of them have the same vector, but their distances are too alike"
            ),
            remedy="use the collision policy `matching`, which always succeeds, or `extra_code`",
        )
    return resolved


def _shared_groups(codes: np.ndarray, taken: np.ndarray) -> list[np.ndarray]:
    """Rows of each ID that is shared with another row or taken, ascending."""
    together = np.concatenate([taken, codes])
    shared = np.flatnonzero(shared_rows(together))
    order, starts = sort_rows(together[shared])
    groups = [shared[part] for part in np.split(order, starts[1:])] if len(order) else []
    return [rows for group in groups if len(rows := group[group >= len(taken)] - len(taken))]


def _free_codes(prefix: np.ndarray, taken: np.ndarray, width: int) -> np.ndarray:
    used = taken[(taken[:, :-1] == prefix).all(axis=1), -1]
    return np.setdiff1d(np.arange(width), used)


def _require_room(codes: np.ndarray, taken: np.ndarray, width: int) -> None:
    together = np.concatenate([taken, codes])
    order, starts = sort_rows(together[:, :-1])
    sizes = np.diff(np.append(starts, len(order)))
    overfull = sizes > width
    if overfull.any():
        prefix = together[order[starts[overfull][0]], :-1]
        raise SemanticIdError(
            f"{int(sizes[overfull][0])} items share a prefix that has {width} last codes, and Sinkhorn moves "
            "none to another prefix",
            received=f"the prefix {tuple(prefix.tolist())}; {int(overfull.sum())} such prefixes",
            remedy="use the collision policy `matching`, more or larger codebooks, or `clustering: balanced`",
        )
