"""Lists for the training histories by rankers that did not train on them (cross-fitting).

Does not know what the lists are for: a model may learn from them, or a hybrid may be fitted on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tqdm.auto import tqdm

from genrec.data import Histories, InteractionLog
from genrec.errors import DataError
from genrec.ranking import Ranker

BLOCK = 4096  # histories asked at once


def cross_fitted_lists(
    make: Callable[[InteractionLog], Ranker],
    log: InteractionLog,
    item_ids: Sequence[str],
    *,
    k: int = 40,
    folds: int = 10,
    max_history: int = 50,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """What comes next after each interaction, in the view of a ranker trained on other users.

    The users are dealt into folds; each fold is asked of a ranker made from all the others, so that nobody's
    own history stands in the counts that answer for it.

    Args:
        make: A ranker from a log. Scores are logarithms, as `LogLinearMixture`'s are: an entry's share of its
            list is proportional to `exp(score)`.
        log: The training log.
        item_ids: The catalog.
        k: Items a list.
        folds: Rankers made, at least 2.
        max_history: Interactions a list is made from, the newest.
        seed: Of the deal.

    Returns:
        Catalog rows int64 `[interactions, k]` after each interaction of the log, in its order, and shares
        float32 of the same shape, which sum to 1. Zeros where the ranker named nothing, and after a user's
        last interaction.

    Raises:
        DataError: Fewer than two folds or users, or k < 1.
    """
    users = len(log.user_ids)
    if not 2 <= folds or users < 2 or k < 1:
        raise DataError(
            "cross-fitting needs two folds, two users and a list",
            received=f"folds={folds}, {users} users, k={k}",
            remedy="give folds=10 and k=40, and a log of many users",
        )
    histories = log.histories()
    row_of = {item: row for row, item in enumerate(item_ids)}
    dealt = np.random.default_rng(seed).permutation(users) % folds
    fold_of = np.repeat(dealt, np.diff(histories.offsets))  # [interactions]
    rows = np.zeros((len(histories.items), k), dtype=np.int64)
    shares = np.zeros((len(histories.items), k), dtype=np.float32)
    for fold in tqdm(range(min(folds, users)), desc="cross-fitting", unit="fold", disable=None):
        ranker = make(log.take(np.flatnonzero(fold_of != fold)))
        positions, asked = _prefixes(histories, np.flatnonzero(dealt == fold), max_history)
        for start in range(0, len(positions), BLOCK):
            place = positions[start : start + BLOCK]
            items, scores = ranker.rank(asked[start : start + BLOCK], k)
            known = np.array([[item in row_of for item in line] for line in items])
            rows[place] = [[row_of.get(item, 0) for item in line] for line in items]
            top = scores.max(axis=1, keepdims=True)
            weights = np.where(known, np.exp(scores - np.where(np.isfinite(top), top, 0)), 0)
            total = weights.sum(axis=1, keepdims=True)
            shares[place] = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return rows, shares


def _prefixes(histories: Histories, users: np.ndarray, most: int) -> tuple[np.ndarray, list[list[str]]]:
    """Positions int64 `[n]` of all interactions that another one follows, and the history up to each."""
    names = np.array(histories.item_ids, dtype=object)[histories.items]
    positions, asked = [], []
    for user in users:
        first, end = int(histories.offsets[user]), int(histories.offsets[user + 1])
        for position in range(first, end - 1):
            positions.append(position)
            asked.append(names[max(first, position + 1 - most) : position + 1].tolist())
    return np.array(positions, dtype=np.int64), asked
