"""`successor_vectors`: what comes after an item and what it comes after, as an embedding table.

Does not know what an item is like, nor what its vectors are used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrec.data import InteractionLog, canonical_order
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.errors import ConfigError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def successor_vectors(
    interactions: InteractionLog,
    item_ids: Sequence[str],
    *,
    dim: int = 192,
    gaps: Sequence[float] = (1.0, 0.5, 0.3),
    shrinkage: float = 20.0,
    seed: int = 0,
) -> EmbeddingTable:
    """Both sides of a truncated SVD of the transitions between items.

    Co-occurrence is symmetric; what is bought next is not. A transition to the g-th next item of a history
    counts `gaps[g - 1]`; a pair's count is divided by the root of the product of both items' totals plus the
    shrinkage, as in `MarkovKNN`. With `X = U S V'` an item's vector is its row of `U S^.5` beside its row of
    `V S^.5`: the inner product of one item's first half with another's second half is their transition's
    value.

    Args:
        interactions: The training part of a split; what is held out must not be in it.
        item_ids: Items that get a vector; those without a transition get zeros.
        dim: Width of either half.
        gaps: Weight of the next item, the one after it, and so on.
        shrinkage: Draws pairs that stand on few transitions towards 0.
        seed: Of the SVD's start.

    Returns:
        Rows in canonical order, float32 `[items, 2 * dim]`.

    Raises:
        ConfigError: No gap, a negative shrinkage, or as many dimensions as items.
    """
    from scipy.sparse import csr_matrix

    ids = canonical_order(item_ids)
    if not 1 <= dim < len(ids) or not gaps or shrinkage < 0:
        raise ConfigError(
            "successor vectors need a width below the number of items, a gap and no negative shrinkage",
            received=f"dim={dim} for {len(ids)} items, gaps={tuple(gaps)}, shrinkage={shrinkage}",
            remedy="give dim=192, gaps=(1, .5, .3) and shrinkage=20, or a smaller dim",
        )
    row_of = {item: row for row, item in enumerate(ids)}
    histories = interactions.histories()
    rows = np.array([row_of.get(item, -1) for item in histories.item_ids], dtype=np.int64)[histories.items]
    users = np.repeat(np.arange(len(histories.offsets) - 1), np.diff(histories.offsets))
    users, rows = users[rows >= 0], rows[rows >= 0]
    shape = (len(ids), len(ids))
    counts = csr_matrix(shape)
    for gap, weight in enumerate(gaps, start=1):
        same = users[gap:] == users[:-gap]
        pairs = (rows[:-gap][same], rows[gap:][same])
        counts += csr_matrix((np.full(int(same.sum()), weight), pairs), shape=shape)
    found = counts.tocoo()
    left, entered = np.asarray(counts.sum(axis=1)).ravel(), np.asarray(counts.sum(axis=0)).ravel()
    values = found.data / (np.sqrt(left[found.row] * entered[found.col]) + shrinkage)
    before, singular, after = _svd(csr_matrix((values, (found.row, found.col)), shape=shape), dim, seed)
    roots = np.sqrt(np.maximum(singular, 0))
    halves = (before * roots * (left > 0)[:, None], after.T * roots * (entered > 0)[:, None])
    return EmbeddingTable(ids, np.concatenate(halves, axis=1).astype(np.float32))


def _svd(matrix: csr_matrix, rank: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`scipy.sparse.linalg.svds` of a square matrix, the same in every call.

    `svds` takes fresh random numbers from the system where its iteration runs into an invariant subspace, as
    it does with few items; here they come from the seed too.

    Returns:
        float64 `[n, rank]`, `[rank]` in ascending order, and `[rank, n]`.
    """
    from scipy.sparse.linalg import LinearOperator, aslinearoperator, eigsh

    generator, x = np.random.default_rng(seed), aslinearoperator(matrix)
    gram = LinearOperator(matrix.shape, matvec=lambda v: x.rmatvec(x.matvec(v)), dtype=np.float64)
    start = generator.normal(size=matrix.shape[0])
    _, vectors = eigsh(gram, k=rank, v0=start, rng=generator)  # [n, rank]
    vectors, _ = np.linalg.qr(vectors)  # ARPACK's are orthogonal only in part where eigenvalues are close
    left, singular, right = np.linalg.svd(x.matmat(vectors), full_matrices=False)
    return left[:, ::-1], singular[::-1], right[::-1] @ vectors.T
