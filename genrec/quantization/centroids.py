"""Centroids of vectors by k-means: in full passes, in mini-batches, or with clusters of even size.

Does not know what the centroids are for.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from tqdm.auto import tqdm

from genrec.quantization.row_blocks import blas_on_one_thread, each_block

Clustering = Literal["kmeans", "minibatch", "balanced"]

_START_ROWS = 16  # rows a centroid among which k-means++ looks for the first ones
_SETTLED = 1e-4  # share of the vectors' variance; centroids that move less have settled
_BALANCING_ROUNDS = 24  # of new prices and new centroids, after k-means
_PRICE_STEPS = 5  # turns of Sinkhorn's algorithm in a round
_FIRST_BLUR = 0.5  # weight of the entropy in the first round, as a share of the mean squared distance
_BLUR_FALLS = 0.85  # from a round to the next


def sampled_rows(vectors: np.ndarray, most: int, seed: int) -> np.ndarray:
    """All rows of ``[n, d]``, or `most` of them drawn without replacement, in their order."""
    if len(vectors) <= most:
        return vectors
    return vectors[np.sort(np.random.default_rng(seed).choice(len(vectors), size=most, replace=False))]


def learn_centroids(
    rows: np.ndarray, size: int, *, iterations: int, seed: int, clustering: Clustering = "kmeans"
) -> tuple[np.ndarray, np.ndarray]:
    """Centroids and prices of ``[n, d]``.

    Args:
        rows: float32 ``[n, d]``.
        size: Centroids; with fewer rows than that, found ones are repeated.
        iterations: Passes over the rows at most; it ends when the centroids have settled.
        seed: Seed of the start.
        clustering: `kmeans` = Lloyd's algorithm from a k-means++ start; `minibatch` = scikit-learn's
            `MiniBatchKMeans`; `balanced` = k-means whose codes are used about evenly: each code has a price
            added to the squared distance, the dual variables of the transport of equal masses.

    Returns:
        float32 ``[size, d]`` and ``[size]``; the prices are 0 unless balanced.
    """
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    prices = np.zeros(size, dtype=np.float32)
    with blas_on_one_thread() as threads:
        found = _start(rows, min(size, len(rows)), seed)
        if len(found) == len(rows):  # a centroid for each row
            pass
        elif clustering == "minibatch":
            found = _minibatch(rows, len(found), iterations, seed)
        else:
            found = _lloyd(rows, found, iterations, threads)
            if clustering == "balanced" and len(found) > 1:
                found, balanced = _balanced(rows, found, threads)
                prices[: len(balanced)] = balanced
    chosen = np.arange(size) % len(found)
    return found[chosen], prices[chosen]


def _start(rows: np.ndarray, size: int, seed: int) -> np.ndarray:
    from sklearn.cluster import kmeans_plusplus

    few = sampled_rows(rows, _START_ROWS * size, seed).astype(np.float64)  # scikit-learn is quicker in it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows that are all equal
        return np.asarray(kmeans_plusplus(few, size, random_state=seed)[0], dtype=np.float32)


def _minibatch(rows: np.ndarray, size: int, iterations: int, seed: int) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    batch = max(1024, 8 * size)
    model = MiniBatchKMeans(size, n_init=1, max_iter=iterations, batch_size=batch, random_state=seed)
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than codes is allowed here
        return np.asarray(model.fit(rows).cluster_centers_, dtype=np.float32)


def refined_centroids(rows: np.ndarray, centroids: np.ndarray, iterations: int) -> np.ndarray:
    """Centroids float32 ``[K, d]`` after so many passes of k-means over ``[n, d]``, or when they settle."""
    with blas_on_one_thread() as threads:
        return _lloyd(np.ascontiguousarray(rows, dtype=np.float32), centroids, iterations, threads)


def _lloyd(rows: np.ndarray, centroids: np.ndarray, iterations: int, threads: int) -> np.ndarray:
    squares = float(np.einsum("nd,nd->n", rows, rows).mean(dtype=np.float64))
    settled = _SETTLED * max(squares - float(np.square(rows.mean(axis=0, dtype=np.float64)).sum()), 0.0)
    for _ in tqdm(range(iterations), desc="k-means", unit="pass", leave=False, disable=None):
        before = centroids
        labels, least = _assigned(rows, centroids, np.zeros(len(centroids), np.float32), threads)
        centroids = _means(rows, labels, least, centroids, threads)
        if float(np.square(centroids - before, dtype=np.float64).sum()) <= settled:
            break
    return centroids


def _balanced(rows: np.ndarray, centroids: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroids and prices under which each centroid gets about as many rows as any other.

    The prices are the dual variables of optimal transport between the rows and equal masses, found by
    Sinkhorn's algorithm while the entropy's weight falls; the centroids follow their rows in between.
    """
    prices = np.zeros(len(centroids), dtype=np.float32)
    labels, least = _assigned(rows, centroids, prices, threads)
    blur = _FIRST_BLUR * max(float(least.mean()), 1e-30)
    for number in tqdm(range(_BALANCING_ROUNDS), desc="balancing", leave=False, disable=None):
        if number:
            labels, least = _assigned(rows, centroids, prices, threads)
            centroids = _means(rows, labels, least, centroids, threads)
            blur *= _BLUR_FALLS
        for _ in range(_PRICE_STEPS):
            masses = _masses(rows, centroids, prices, blur, threads)
            even = len(rows) / len(centroids)
            prices += np.float32(blur) * np.log(np.maximum(masses, 1e-6 * even) / even).astype(np.float32)
            prices -= prices.min()
    return centroids, prices


def _masses(
    rows: np.ndarray, centroids: np.ndarray, prices: np.ndarray, blur: float, threads: int
) -> np.ndarray:
    """Rows that each centroid gets, float64 ``[K]``, when each row is shared out by ``exp(-cost / blur)``."""
    doubled = np.ascontiguousarray((2.0 / blur * centroids).T)  # [d, K]
    offsets = (np.einsum("kd,kd->k", centroids, centroids) + prices) / np.float32(blur)

    def shared_out(one: slice) -> np.ndarray:
        shares = rows[one] @ doubled  # [b, K]
        shares -= offsets
        shares -= shares.max(axis=1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=1, keepdims=True)
        return np.asarray(shares.sum(axis=0, dtype=np.float64))

    return np.asarray(np.sum(list(each_block(shared_out, len(rows), threads=threads)), axis=0))


def _assigned(
    rows: np.ndarray, centroids: np.ndarray, prices: np.ndarray, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Centroid of each row, int64 ``[n]``, and its squared distance with the price, float32 ``[n]``."""
    doubled = np.ascontiguousarray((-2.0 * centroids).T)  # [d, K]
    offsets = np.einsum("kd,kd->k", centroids, centroids) + prices

    def nearest(one: slice) -> tuple[np.ndarray, np.ndarray]:
        block = rows[one]
        costs = block @ doubled  # [b, K]
        costs += offsets
        labels = costs.argmin(axis=1)
        least = costs[np.arange(len(block)), labels] + np.einsum("bd,bd->b", block, block)
        return labels, least

    parts = list(each_block(nearest, len(rows), threads=threads))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _means(
    rows: np.ndarray, labels: np.ndarray, least: np.ndarray, centroids: np.ndarray, threads: int
) -> np.ndarray:
    """New centroids ``[K, d]``; one without rows becomes the row that is furthest from its own."""
    from scipy.sparse import csr_array

    size = len(centroids)

    def summed(one: slice) -> np.ndarray:
        block = rows[one]
        ones = np.ones(len(block), dtype=np.float32)
        members = csr_array((ones, (labels[one], np.arange(len(block)))), shape=(size, len(block)))
        return np.asarray(members @ block)

    sums = np.zeros(centroids.shape, dtype=np.float64)
    for part in each_block(summed, len(rows), threads=threads):
        sums += part
    counts = np.bincount(labels, minlength=size)
    means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        furthest = np.argsort(-least, kind="stable")[: len(empty)]
        means[empty[: len(furthest)]] = rows[furthest]
    return means
