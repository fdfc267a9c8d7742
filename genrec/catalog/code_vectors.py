"""What each code stands for in the space of the content vectors: a starting point for its token's row.

Does not know quantizers, tokens or models: it is a mean over the items that have the code.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from genrec.catalog.catalog import Catalog
from genrec.embeddings import EmbeddingTable
from genrec.semantic_ids import END


def code_vectors(catalog: Catalog, embeddings: EmbeddingTable) -> list[np.ndarray]:
    """Mean of what a code adds to its prefix, for every code of every position.

    An item adds at position p the mean vector of the items under its prefix of p + 1 codes minus that of the
    items under its prefix of p codes (at position 0: minus the mean of all). For a residual quantizer these
    are its codebooks as the catalog uses them; for any other method, and for IDs read from a file, they are
    as well defined.

    Args:
        catalog: Items and IDs.
        embeddings: A vector for each item of the catalog.

    Returns:
        One float32 `[codes of the position, d]` a position; zeros for a code that no item has.

    Raises:
        DataError: An item without a vector.
    """
    vectors = embeddings.vectors_for(catalog.item_ids).astype(np.float64)  # [n, d]
    node = np.zeros(len(catalog), dtype=np.int64)  # number of each item's prefix
    above = np.broadcast_to(vectors.mean(axis=0), vectors.shape)  # mean under the prefix, for each item
    found = []
    for position, size in enumerate(catalog.spec.codebook_sizes):
        codes = catalog.codes[:, position]
        there = codes != END
        _, node = np.unique(node * (size + 1) + codes, return_inverse=True)
        under = _means(vectors, node, int(node.max()) + 1)[node]  # [n, d]
        found.append(_means((under - above)[there], codes[there], size).astype(np.float32))
        above = under
    return found


def _means(vectors: np.ndarray, group: np.ndarray, size: int) -> np.ndarray:
    """Mean of the rows of each group, float64 `[size, d]`; zeros where a group is empty."""
    rows = np.arange(len(group))
    member = sparse.csr_array((np.ones(len(group)), (group, rows)), shape=(size, len(group)))
    sums: np.ndarray = member @ vectors
    counts = np.bincount(group, minlength=size)
    return sums / np.maximum(counts, 1)[:, None]
