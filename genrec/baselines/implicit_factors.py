"""`ALS` and `BPR`: matrix factorisation by the package `implicit`, for histories that come with no user id.

Does not know the order of training interactions, nor what the items are. Both are fitted with one thread, so
that a seed decides everything; implicit asks for OPENBLAS_NUM_THREADS=1, which holds here during the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from genrec.baselines.catalog_rows import CatalogRows, check_decay
from genrec.baselines.popularity import popularity_back_off
from genrec.baselines.ranked_lists import ranked_lists
from genrec.data import InteractionLog
from genrec.errors import ConfigError


class ALS:
    """Implicit alternating least squares (Hu, Koren and Volinsky 2008).

    A history's user vector is the least-squares solution for that history with the items' factors as they are
    (fold-in), confidences `1 + alpha * decay ** age`. A history without a known item gets the order of
    popularity.

    Args:
        train: Training log.
        item_ids: The catalog.
        factors: Width of the factors.
        regularization: Of both sides' factors.
        alpha: Confidence of an interaction.
        iterations: Sweeps over both sides.
        decay: Confidence of a history item against the next newer one.
        seed: Of the first factors.
        name: Name in reports.

    Raises:
        ConfigError: The package implicit is not installed.
        DataError: A decay out of range.
    """

    def __init__(
        self,
        train: InteractionLog,
        item_ids: Sequence[str],
        *,
        factors: int = 64,
        regularization: float = 0.1,
        alpha: float = 10.0,
        iterations: int = 15,
        decay: float = 0.8,
        seed: int = 0,
        name: str = "als",
    ) -> None:
        check_decay(decay)
        self.name = name
        self.alpha = alpha
        self.decay = decay
        self.regularization = regularization
        self.catalog = CatalogRows(item_ids)
        matrix = _matrix(self.catalog, train)
        module = _implicit("als")
        with threadpool_limits(limits=1, user_api="blas"):  # it looks at the threads when it is made
            model = module.AlternatingLeastSquares(
                factors=factors,
                regularization=regularization,
                alpha=alpha,
                iterations=iterations,
                random_state=seed,
                num_threads=1,
            )
        _fit(model, matrix)
        self.factors = np.asarray(model.item_factors, dtype=np.float64)  # [items, factors]
        self.gram = self.factors.T @ self.factors
        self.back_off = popularity_back_off(np.asarray(matrix.sum(axis=0)).ravel()) - 1000

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog after each history; the history's own items are not taken out.

        Args:
            histories: Item ids, oldest first; those outside the catalog are left out.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and scores, float32 `[n, k]`; `""` and minus infinity beyond the catalog's
            size.
        """
        return ranked_lists(self.catalog, histories, k, self._score)

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        scores = np.empty((len(histories), len(self.catalog)), dtype=np.float32)
        for i, history in enumerate(histories):
            scores[i] = self.factors @ self._user(history) if history else self.back_off
        return scores

    def _user(self, history: list[int]) -> np.ndarray:
        """Least-squares user vector, float64 `[factors]`."""
        own = self.factors[history]  # [length, factors]
        confidence = self.alpha * self.decay ** np.arange(len(history))[::-1]  # [length], without the 1
        ridge = self.regularization * np.eye(len(self.gram))
        left = self.gram + ridge + (own.T * confidence) @ own
        solved: np.ndarray = np.linalg.solve(left, own.T @ (1 + confidence))
        return solved


class BPR:
    """Bayesian personalised ranking (Rendle et al. 2009, matrix factorisation).

    A history's user vector is the recency-weighted mean of its items' factors: the users of the training log
    have vectors of their own, a history has none. A history without a known item gets the order of the items'
    biases.

    Args:
        train: Training log.
        item_ids: The catalog.
        factors: Width of the factors.
        learning_rate: Of the stochastic gradient.
        regularization: Of all factors.
        iterations: Passes over the interactions.
        decay: Weight of a history item against the next newer one.
        seed: Of the first factors and the sampled pairs.
        name: Name in reports.

    Raises:
        ConfigError: The package implicit is not installed.
        DataError: A decay out of range.
    """

    def __init__(
        self,
        train: InteractionLog,
        item_ids: Sequence[str],
        *,
        factors: int = 64,
        learning_rate: float = 0.05,
        regularization: float = 0.01,
        iterations: int = 100,
        decay: float = 0.8,
        seed: int = 0,
        name: str = "bpr",
    ) -> None:
        check_decay(decay)
        self.name = name
        self.decay = decay
        self.catalog = CatalogRows(item_ids)
        model = _implicit("bpr").BayesianPersonalizedRanking(
            factors=factors,
            learning_rate=learning_rate,
            regularization=regularization,
            iterations=iterations,
            random_state=seed,
            num_threads=1,
        )
        _fit(model, _matrix(self.catalog, train))
        learned = np.asarray(model.item_factors, dtype=np.float64)  # [items, factors + 1], the bias last
        self.factors, self.biases = learned[:, :-1], learned[:, -1]

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog after each history; arguments and results as in `ALS.rank`."""
        return ranked_lists(self.catalog, histories, k, self._score)

    def _score(self, histories: list[list[int]]) -> np.ndarray:
        scores = np.empty((len(histories), len(self.catalog)), dtype=np.float32)
        for i, history in enumerate(histories):
            weights = self.decay ** np.arange(len(history), dtype=np.float64)[::-1]
            user = weights @ self.factors[history] / max(weights.sum(), 1e-30)  # [factors]
            scores[i] = self.factors @ user + self.biases
        return scores


def _matrix(catalog: CatalogRows, train: InteractionLog) -> Any:
    """Which user had which item, a sparse float32 matrix `[users, items]`."""
    from scipy.sparse import csr_matrix

    rows, users = catalog.training(train)
    shape = (len(train.user_ids), len(catalog))
    matrix = csr_matrix((np.ones(len(rows), dtype=np.float32), (users, rows)), shape=shape)
    matrix.data[:] = 1  # repeats were summed
    return matrix


def _fit(model: Any, matrix: Any) -> None:
    with threadpool_limits(limits=1, user_api="blas"):
        model.fit(matrix, show_progress=False)


def _implicit(method: str) -> Any:
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            if method == "als":
                from implicit.cpu import als as module
            else:
                from implicit.cpu import bpr as module
    except ImportError as error:
        raise ConfigError(
            f"{method.upper()} needs the package implicit",
            received=str(error),
            remedy="pip install 'genrec-toolkit[eval]'",
        ) from error
    return module
