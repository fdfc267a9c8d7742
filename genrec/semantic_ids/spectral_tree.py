"""Recursive spectral clustering of a co-occurrence graph: the tree of P5's collaborative indexing.

Does not know items, users or tokens: a symmetric matrix in, a path of cluster numbers for each row out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_FEWEST = 4  # rows a cluster below which a spectral embedding means nothing


def spectral_paths(
    together: csr_array, *, branching: int, leaf_size: int, depth: int, seed: int = 0
) -> list[tuple[int, ...]]:
    """Path of each row: one to `depth` cluster numbers below `branching`, or `(branching,)` without a link.

    "How to index item IDs" (arXiv 2305.06569, section 4.2): the graph is cut into `branching` clusters by
    spectral clustering, and so is every cluster of more than `leaf_size` rows, until `depth` is reached. The
    parts of a graph that is not connected are kept whole as far as they fit.

    Args:
        together: Sparse symmetric ``[n, n]``, not negative; how many users had both.
        branching: Clusters of a cut.
        leaf_size: A cluster of at most so many rows is not cut again.
        depth: Cuts at most.
        seed: Of the eigenvalue search and of scikit-learn's k-means.
    """
    degree = np.asarray(together.sum(axis=1)).ravel()
    linked = np.flatnonzero(degree > 0)
    paths: list[tuple[int, ...]] = [(branching,)] * together.shape[0]
    open_clusters: list[tuple[np.ndarray, tuple[int, ...]]] = [(linked, ())] if len(linked) else []
    with tqdm(total=len(linked), desc="spectral clustering", unit="item", disable=None) as progress:
        while open_clusters:
            rows, path = open_clusters.pop()
            for cluster in _cut(together[rows][:, rows], branching, seed):
                members, longer = rows[cluster[0]], (*path, cluster[1])
                if len(members) > leaf_size and len(longer) < depth and len(members) < len(rows):
                    open_clusters.append((members, longer))
                    continue
                for row in members.tolist():
                    paths[row] = longer
                progress.update(len(members))
    return paths


def _cut(graph: csr_array, branching: int, seed: int) -> list[tuple[np.ndarray, int]]:
    """Rows and number of each cluster that is not empty, numbered from 0, the largest first."""
    from scipy.sparse.csgraph import connected_components

    _, part = connected_components(graph, directed=False)
    sizes = np.bincount(part)
    labels = np.zeros(graph.shape[0], dtype=np.int64)
    largest = np.flatnonzero(part == int(sizes.argmax()))
    clusters = round(branching * len(largest) / graph.shape[0])  # its share of them
    if clusters > 1 and len(largest) >= _FEWEST * clusters:
        labels[largest] = _spectral(graph[largest][:, largest], clusters, seed)
    filled = np.bincount(labels[largest], minlength=branching)
    # Smaller parts go, whole, to whichever cluster is the smallest by then.
    for component in np.argsort(-sizes, kind="stable")[1:].tolist():
        smallest = int(filled.argmin())
        labels[part == component] = smallest
        filled[smallest] += sizes[component]
    order = np.argsort(-filled, kind="stable")
    return [(np.flatnonzero(labels == label), n) for n, label in enumerate(order.tolist()) if filled[label]]


def _spectral(graph: csr_array, branching: int, seed: int) -> np.ndarray:
    """Clusters of a connected graph: k-means on the rows of the normalised adjacency's first eigenvectors.

    What scikit-learn's SpectralClustering computes, but the eigenvectors are found at the upper end of the
    spectrum, without factorising the Laplacian, which takes minutes for ten thousand items.
    """
    from scipy.sparse import dia_array
    from scipy.sparse.linalg import eigsh
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    root = 1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel())
    scale = dia_array((root[None], [0]), shape=graph.shape)
    start = np.random.default_rng(seed).normal(size=graph.shape[0])
    with threadpool_limits(limits=1):  # vectors: [n, branching]
        _, vectors = eigsh(
            scale @ graph @ scale, k=branching, which="LA", v0=start, tol=1e-6
        )  # [n, branching]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        model = KMeans(branching, n_init=4, random_state=seed)
        return np.asarray(model.fit_predict(vectors / np.where(lengths > 0, lengths, 1.0)))
