"""Log-probabilities of given items: a search that keeps every path to one of them.

Does not know what kind of model walks, nor who asks.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genrec.catalog import CatalogTrie, TrieFilter
from genrec.decoding.item_constraints import ItemConstraints
from genrec.decoding.trie_search import TrieSearch
from genrec.decoding.trie_walk import TrieWalk
from genrec.errors import DecodingError

CHUNK = 256  # items of a prompt scored at once, so that the paths to them stay few


def score_rows(walk: TrieWalk, trie: CatalogTrie, batch: int, rows: Tensor | None) -> Tensor:
    """Scores items in chunks of neighbours in the trie.

    Args:
        walk: The model behind the prompts.
        trie: The catalog's.
        batch: Prompts.
        rows: int64 `[batch, m]`, catalog rows, -1 for none; None = the whole catalog.

    Returns:
        float32 `[batch, m]`, or `[batch, trie.num_rows]`; minus infinity where the model gives an item no
        probability at all.

    Raises:
        DecodingError: Another shape, a row without an ID, or a score that is no number.
    """
    if rows is None:
        leaves = np.broadcast_to(trie.leaf_of_row, (batch, trie.num_rows))
    else:
        leaves = _leaves(trie, batch, rows)
    wanted = [np.unique(of_prompt[of_prompt >= 0]) for of_prompt in leaves]
    found = [np.full(len(of_prompt), -np.inf, dtype=np.float32) for of_prompt in wanted]
    for start in range(0, max(map(len, wanted)), CHUNK):
        chunks = [of_prompt[start : start + CHUNK] for of_prompt in wanted]
        filters = [TrieFilter(trie.num_items, chunk, complement=False) for chunk in chunks]
        constraints = ItemConstraints(trie, walk.levels, batch, allowed=filters)
        most = max(map(len, chunks))
        result = TrieSearch(walk, constraints, batch, most, width=most).run()
        scored, scores = result.rows.cpu().numpy(), result.scores.cpu().numpy()
        for place in range(batch):
            named = scored[place] >= 0  # an item without probability is not found
            order = np.searchsorted(wanted[place], trie.leaf_of_row[scored[place, named]])
            found[place][order] = scores[place, named]
    out = np.full(leaves.shape, -np.inf, dtype=np.float32)
    for place, of_prompt in enumerate(leaves):
        real = of_prompt >= 0
        out[place, real] = found[place][np.searchsorted(wanted[place], of_prompt[real])]
    return torch.from_numpy(out).to(walk.levels.device)


def _leaves(trie: CatalogTrie, batch: int, rows: Tensor) -> np.ndarray:
    """Leaf of each row, int `[batch, m]`, -1 for none."""
    numbers = rows.detach().cpu().numpy()
    if numbers.ndim != 2 or len(numbers) != batch or numbers.dtype.kind != "i":
        raise DecodingError(
            "the items to score are a matrix of catalog rows, a line for each prompt",
            received=f"{rows.dtype} of shape {tuple(rows.shape)} for {batch} prompts",
            remedy="pass int64 rows, filled up with -1",
        )
    inside = (numbers >= 0) & (numbers < trie.num_rows)
    leaves = np.where(inside, trie.leaf_of_row[np.where(inside, numbers, 0)], -1)
    wrong = (leaves < 0) & (numbers != -1)
    if wrong.any():
        raise DecodingError(
            "an item to score is not in the catalog's trie",
            received=f"row {int(numbers[wrong][0])}",
            remedy="pass rows of items that have a Semantic ID, and -1 where there is none",
        )
    return leaves
