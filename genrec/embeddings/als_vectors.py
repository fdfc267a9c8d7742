"""`als_vectors`: item factors of implicit alternating least squares, as an embedding table.

Does not know what an item is like, nor what its vectors are used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genrec.data import InteractionLog, canonical_order, user_item_matrix
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.errors import ConfigError


def als_vectors(
    interactions: InteractionLog,
    item_ids: Sequence[str],
    *,
    dim: int = 64,
    regularization: float = 0.1,
    alpha: float = 10.0,
    iterations: int = 15,
    seed: int = 0,
) -> EmbeddingTable:
    """Factors by the package `implicit` (Hu, Koren and Volinsky 2008), fitted on one thread.

    Args:
        interactions: The training part of a split; what is held out must not be in it.
        item_ids: Items that get a vector; those that nobody had get zeros.
        dim: Width of the factors.
        regularization: Of both sides' factors.
        alpha: Confidence of an interaction.
        iterations: Sweeps over both sides.
        seed: Of the first factors.

    Returns:
        Rows in canonical order.

    Raises:
        ConfigError: The package is not installed, or a size below 1.
    """
    if min(dim, iterations) < 1:
        raise ConfigError(
            "ALS needs at least one factor and one sweep",
            received=f"dim={dim}, iterations={iterations}",
            remedy="give dim=64, iterations=15",
        )
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    ids = canonical_order(item_ids)
    had = csr_matrix(user_item_matrix(interactions, ids).astype(np.float32))  # [users, items]
    with threadpool_limits(limits=1, user_api="blas"):  # implicit asks for it, and looks when it is made
        model = _implicit_als()(
            factors=dim,
            regularization=regularization,
            alpha=alpha,
            iterations=iterations,
            random_state=seed,
            num_threads=1,
        )
        model.fit(had, show_progress=False)
    factors = np.asarray(model.item_factors, dtype=np.float32)  # [items, dim]
    seen = np.asarray(had.sum(axis=0)).reshape(-1, 1) > 0
    return EmbeddingTable(ids, np.where(seen, factors, 0).astype(np.float32))


def _implicit_als() -> Any:
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(limits=1, user_api="blas"):
            from implicit.cpu.als import AlternatingLeastSquares
    except ImportError as error:
        raise ConfigError(
            "collaborative vectors by ALS need the package implicit",
            received=str(error),
            remedy="pip install 'genrec-toolkit[eval]', or use item2vec",
        ) from error
    return AlternatingLeastSquares
