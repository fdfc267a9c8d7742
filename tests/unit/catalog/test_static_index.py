"""Walking the tables an engine reads gives exactly the catalog's IDs."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.catalog import CatalogTrie, StaticIndex
from genrec.errors import SemanticIdError


def walked(index: StaticIndex, length: int) -> set[tuple[int, ...]]:
    """All whole IDs, as an engine would find them."""
    dense = index.dense_mask.ndim
    found = set()
    open_ = [
        (path, int(index.dense_states[path]))
        for path in itertools.product(*(range(size) for size in index.dense_mask.shape))
        if index.dense_mask[path]
    ]
    assert {path[0] for path, _ in open_} == set(np.flatnonzero(index.start_mask).tolist())
    for depth in range(dense, length):
        longer = []
        for path, state in open_:
            rows = index.packed_csr[index.indptr[state] : index.indptr[state + 1]]
            assert 1 <= len(rows) <= index.layer_max_branches[depth]
            longer += [((*path, int(code)), int(following)) for code, following in rows]
        open_ = longer
    for path, state in open_:
        assert state == 0
        found.add(path)
    return found


@given(st.integers(2, 5), st.integers(0, 2**32 - 1), st.data())
def test_the_index_is_the_set_of_ids(length: int, seed: int, data: st.DataObject) -> None:
    generator = np.random.default_rng(seed)
    sizes = tuple(generator.integers(1, 5, size=length).tolist())
    codes = np.unique(generator.integers(sizes, size=(30, length)), axis=0)
    if data.draw(st.booleans()):
        codes[0, -1] = -1
        codes = np.unique(codes, axis=0)
    trie = CatalogTrie.from_codes(codes, sizes)
    dense = data.draw(st.integers(1, trie.length - 1))
    index = StaticIndex.of(trie, dense_levels=dense, num_codes=data.draw(st.sampled_from([None, 7])))
    ended = [*sizes, 0]
    spelled = [tuple(c if c >= 0 else ended[p] for p, c in enumerate(path)) for path in codes.tolist()]
    expected = {(*path, 0) for path in spelled} if trie.terminated else set(spelled)
    assert walked(index, trie.length) == expected
    alphabet = len(index.start_mask)
    assert (index.packed_csr[-alphabet:] == [alphabet, 0]).all()
    assert index.indptr[-1] == len(index.packed_csr)
    assert {array.dtype for array in (index.packed_csr, index.indptr, index.dense_states)} == {
        np.dtype(np.int32)
    }


def test_a_small_index_by_hand() -> None:
    trie = CatalogTrie.from_codes(np.array([[0, 1, 1], [0, 1, 2], [2, 0, 0]]), (3, 3, 3))
    index = StaticIndex.of(trie, dense_levels=1)
    # states: first code c -> c + 1; (0, 1) -> 4; (2, 0) -> 5
    assert index.dense_states.tolist() == [1, 0, 3]
    assert index.packed_csr[:5].tolist() == [[1, 4], [0, 5], [1, 0], [2, 0], [0, 0]]
    assert index.indptr.tolist() == [0, 0, 1, 1, 2, 4, 5, 8]
    assert index.layer_max_branches.tolist() == [2, 1, 2]


def test_it_is_saved_as_plain_arrays(tmp_path: Path) -> None:
    trie = CatalogTrie.from_codes(np.array([[0, 1, 1], [2, 0, 0]]), (3, 3, 3))
    StaticIndex.of(trie).save(tmp_path / "index.npz")
    with np.load(tmp_path / "index.npz", allow_pickle=False) as saved:
        assert sorted(saved) == sorted(StaticIndex.__dataclass_fields__)
        assert np.array_equal(saved["dense_mask"], StaticIndex.of(trie).dense_mask)
    assert [path.name for path in tmp_path.iterdir()] == ["index.npz"]


@pytest.mark.parametrize("wrong", [{"dense_levels": 0}, {"dense_levels": 3}, {"num_codes": 2}])
def test_an_index_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    trie = CatalogTrie.from_codes(np.array([[0, 1, 1], [2, 0, 0]]), (3, 3, 3))
    with pytest.raises(SemanticIdError, match="does not fit the index"):
        StaticIndex.of(trie, **wrong)  # type: ignore[arg-type]
