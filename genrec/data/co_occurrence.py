"""Which items the same users had: counts over an interaction log.

Does not know what the counts are used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrec.data.interactions import InteractionLog

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def user_item_matrix(log: InteractionLog, item_ids: Sequence[str]) -> csr_array:
    """Which user had which item, float64 0 or 1, sparse `[users, items]`.

    Users stand in the order of their ids, so the order of a log's rows changes nothing; items that are not
    among `item_ids` are left out, and repeats count once.
    """
    from scipy.sparse import csr_array

    column_of = {item: column for column, item in enumerate(item_ids)}
    columns = np.array([column_of.get(item, -1) for item in log.item_ids], dtype=np.int64)[log.items]
    rank = np.empty(len(log.user_ids), dtype=np.int64)
    rank[np.argsort(np.array(log.user_ids, dtype=object), kind="stable")] = np.arange(len(log.user_ids))
    known = columns >= 0
    entries = (np.ones(int(known.sum())), (rank[log.users[known]], columns[known]))
    matrix = csr_array(entries, shape=(len(log.user_ids), len(item_ids)))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def co_occurrence(log: InteractionLog, item_ids: Sequence[str]) -> csr_array:
    """Number of users who had both of two items, float64, sparse `[items, items]`, 0 on the diagonal.

    Args:
        log: Interactions; give the training part of a split, else held-out items leak.
        item_ids: The items, in the order wanted.
    """
    had = user_item_matrix(log, item_ids)
    together = (had.T @ had).tocsr()
    together.setdiag(0)
    together.eliminate_zeros()
    together.sort_indices()
    return together
