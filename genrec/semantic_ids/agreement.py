"""How far the prefixes of Semantic IDs agree with what else is known: categories, neighbours, vectors.

Does not know how IDs were made; plain arrays and labels only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrec.semantic_ids.code_groups import sort_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NEIGHBOURS = 10  # nearest ones of an item that its prefix is compared with
FOLDS = 5  # of the cross-validated reconstruction
RIDGE = 1.0
MOST_CODES = 4_096  # of a position that the reconstruction looks at: the most frequent ones


def prefix_groups(codes: np.ndarray) -> list[np.ndarray]:
    """Number of each row's group of equal first codes, int64 ``[n]``, for 1, 2 … L codes of ``[n, L]``."""
    found = []
    for depth in range(1, codes.shape[1] + 1):
        order, starts = sort_rows(codes[:, :depth])
        group = np.empty(len(codes), dtype=np.int64)
        sizes = np.diff(np.append(starts, len(order)))
        group[order] = np.repeat(np.arange(len(starts)), sizes)
        found.append(group)
    return found


def category_levels(categories: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """Label of each item's category at each level, int64 ``[n]``, -1 where its list is shorter.

    A level's label stands for the path down to it. Levels at the beginning that say the same of all items,
    and levels that fewer than half of the items have, are left out.
    """
    levels = []
    for level in range(max(map(len, categories), default=0)):
        paths = [tuple(names[: level + 1]) if len(names) > level else None for names in categories]
        known = sorted({path for path in paths if path is not None})
        number = {path: label for label, path in enumerate(known)}
        labels = np.array([-1 if path is None else number[path] for path in paths], dtype=np.int64)
        if len(known) > 1 and (labels >= 0).mean() >= 0.5:
            levels.append(labels)
    return levels


def category_agreement(
    groups: Sequence[np.ndarray], levels: Sequence[np.ndarray]
) -> list[list[float | None]]:
    """Adjusted mutual information of prefixes (rows) with category levels (columns).

    0 = as by chance, 1 = the same partition. None for prefixes, or categories, of which most have one item
    only: the measure says nothing there.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    table: list[list[float | None]] = []
    for group in groups:
        row: list[float | None] = []
        for labels in levels:
            there = labels >= 0
            parts = max(len(np.unique(group[there])), len(np.unique(labels[there])))
            fine = parts > there.sum() / 2
            row.append(None if fine else float(adjusted_mutual_info_score(labels[there], group[there])))
        table.append(row)
    return table


def neighbour_pairs(together: csr_array) -> np.ndarray:
    """Each item with its nearest ones by the cosine of co-occurrence, int64 ``[pairs, 2]``, 10 at most each.

    Args:
        together: Sparse symmetric ``[n, n]``: how many users had both, 0 on the diagonal.
    """
    total = np.asarray(together.sum(axis=1)).ravel()
    pairs = together.tocoo()
    rows, columns = pairs.coords
    cosine = pairs.data / np.sqrt(np.maximum(total[rows] * total[columns], 1e-12))
    order = np.lexsort((columns, -cosine, rows))
    starts = np.searchsorted(rows[order], np.arange(together.shape[0]))
    place = np.arange(len(order)) - starts[rows[order]]
    kept = order[place < NEIGHBOURS]
    return np.stack([rows[kept], columns[kept]], axis=1).astype(np.int64)


def neighbour_agreement(
    codes: np.ndarray, groups: Sequence[np.ndarray], pairs: np.ndarray
) -> tuple[list[float], list[float], float]:
    """How often neighbours have the same first codes, how often any two items do, and how well both part.

    Args:
        codes: int ``[n, L]``.
        groups: As `prefix_groups` gives them.
        pairs: int ``[m, 2]``, rows of neighbours in a space that the IDs were not made of.

    Returns:
        For each depth the share of pairs with equal prefixes; the same for all pairs of two items; and the
        probability that a neighbour shares a longer prefix with an item than a random item does, ties counted
        half: 0.5 = chance, whatever the sizes of the codebooks.
    """
    near = [float((group[pairs[:, 0]] == group[pairs[:, 1]]).mean()) for group in groups]
    far = []
    for group in groups:
        counts = np.bincount(group).astype(np.float64)
        far.append(float((counts * (counts - 1)).sum() / (len(group) * (len(group) - 1))))
    # Shares of pairs whose common prefix has exactly 0, 1 … L codes.
    exact_near = -np.diff([1.0, *near, 0.0])
    exact_far = -np.diff([1.0, *far, 0.0])
    below = np.concatenate([[0.0], np.cumsum(exact_far)[:-1]])
    return near, far, float((exact_near * (below + exact_far / 2)).sum())


def reconstruction_errors(codes: np.ndarray, vectors: np.ndarray) -> list[float]:
    """Share of the vectors' variance that the first 1, 2 … L codes do not tell, on items held out.

    Each code has a vector of its own (ridge regression on the codes), learned from four fifths of the items,
    and the sum of an item's codes' vectors is compared with the item's vector for the rest: defined for any
    IDs, and about 1 for IDs that say nothing. Rows must stand in canonical order, which says nothing.

    Args:
        codes: int ``[n, L]``.
        vectors: float ``[n, d]``.
    """
    from scipy import sparse

    n = len(codes)
    if n < 2 * FOLDS:
        return []
    rows = np.asarray(vectors, dtype=np.float64)
    fold = np.arange(n) % FOLDS
    features: list[sparse.csr_array] = []
    errors = []
    spread = float(np.square(rows - rows.mean(axis=0)).sum())
    for column in codes.T:
        values, counts = np.unique(column, return_counts=True)
        kept = values[np.argsort(-counts, kind="stable")][: min(MOST_CODES, int((counts > 1).sum()))]
        place = {int(code): number for number, code in enumerate(np.sort(kept).tolist())}
        at = np.array([place.get(int(code), -1) for code in column])
        known = np.flatnonzero(at >= 0)
        features.append(
            sparse.csr_array((np.ones(len(known)), (known, at[known])), shape=(n, max(len(place), 1)))
        )
        x = sparse.hstack(features, format="csr")
        error = 0.0
        for number in range(FOLDS):
            train, test = fold != number, fold == number
            mean = rows[train].mean(axis=0)
            gram = (x[train].T @ x[train]).toarray()
            gram[np.diag_indices_from(gram)] += RIDGE
            weights = np.linalg.solve(gram, x[train].T @ (rows[train] - mean))
            error += float(np.square(rows[test] - mean - x[test] @ weights).sum())
        errors.append(error / spread if spread > 0 else 0.0)
    return errors
