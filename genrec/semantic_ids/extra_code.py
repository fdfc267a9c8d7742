"""Collision policy `extra_code`: one more position that tells apart the items that share an ID.

Does not know vectors; it is a pure function over arrays.
"""

from __future__ import annotations

import numpy as np

from genrec.errors import SemanticIdError
from genrec.semantic_ids.code_groups import sort_rows


def resolve_extra_code(codes: np.ndarray, size: int, taken_codes: np.ndarray | None = None) -> np.ndarray:
    """Appends the lowest free code of an extra position to each ID (TIGER, arXiv 2305.05065, section 3.1).

    Args:
        codes: int ``[n, L]``; of rows that share an ID, the one further up gets the lower extra code, so hand
            them over in canonical order.
        size: Codes of the extra position.
        taken_codes: int ``[m, L + 1]``, IDs that other items have already.

    Returns:
        int32 ``[n, L + 1]``, all different from each other and from `taken_codes`.

    Raises:
        SemanticIdError: More items share an ID than the extra position has codes.
    """
    codes = np.asarray(codes, dtype=np.int32)
    length = codes.shape[1]
    taken = np.empty((0, length + 1), np.int32)
    if taken_codes is not None:
        taken = np.unique(np.asarray(taken_codes, np.int32), axis=0)
    resolved = np.concatenate([codes, np.zeros((len(codes), 1), dtype=np.int32)], axis=1)
    # Taken IDs stand first, so that a group lists them before the rows that still need a code.
    order, starts = sort_rows(np.concatenate([taken[:, :length], codes]))
    sizes = np.diff(np.append(starts, len(order)))
    too_large = sizes > size
    if too_large.any():
        group = order[starts[too_large][0] :][: sizes[too_large][0]]
        if group[-1] >= len(taken):  # else it is full of taken IDs only, and nobody asks for more
            raise SemanticIdError(
                f"{len(group)} items share one Semantic ID, and the extra position has {size} codes",
                received=f"the ID {tuple(codes[group[-1] - len(taken)].tolist())}",
                remedy="use the collision policy `matching`, or a larger extra_code_size",
            )
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order)) - np.repeat(starts, sizes)
    resolved[:, length] = rank[len(taken) :]
    for group in np.split(order, starts[1:]) if len(taken) else []:
        new = group[group >= len(taken)] - len(taken)
        if len(new) and len(new) < len(group):  # the free codes may have gaps
            used = taken[group[group < len(taken)], length]
            resolved[new, length] = np.setdiff1d(np.arange(size, dtype=np.int32), used)[: len(new)]
    return resolved
