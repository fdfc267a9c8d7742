"""The trie inside a model against the codes it was made from."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from genrec.catalog import CatalogTrie
from genrec.models import TrieArrays


def arrays(codes: np.ndarray, sizes: tuple[int, ...]) -> TrieArrays:
    trie = CatalogTrie.from_codes(codes, sizes)
    most = tuple(int(np.diff(indptr).max()) for indptr in trie.indptr)
    filled = TrieArrays(trie.num_items, tuple(len(level) for level in trie.codes), most)
    filled.fill(trie)
    return filled


@given(seed=st.integers(0, 50), items=st.integers(1, 30))
def test_paths_name_the_codes_and_leaves_the_rows(seed: int, items: int) -> None:
    numbers = np.random.default_rng(seed).choice(60, size=items, replace=False)
    codes = np.stack(np.unravel_index(numbers, (4, 3, 5)), axis=1)
    trie = arrays(codes, (4, 3, 5))
    for level in range(3):
        assert trie.codes(level)[trie.paths[:, level]].tolist() == codes[:, level].tolist()
    assert trie.rows[trie.paths[:, 2]].tolist() == list(range(items))


def test_children_are_those_of_the_prefix(item_codes: np.ndarray) -> None:
    trie = arrays(item_codes, (4, 3, 5))
    parents = torch.tensor([2, -1, 0, 2])
    owner, place, nodes = trie.children_of(1, parents)
    for i, parent in enumerate(parents.tolist()):
        mine = owner == i
        below = sorted({int(path[1]) for path in trie.paths if int(path[0]) == parent})
        assert nodes[mine].tolist() == below
        assert place[mine].tolist() == list(range(len(below)))
