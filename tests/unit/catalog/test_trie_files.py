"""A trie's files: mapped into memory, the same arrays, and refused where they are not what was saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrec.catalog import CatalogTrie
from genrec.errors import ArtifactError

ARRAYS = ("codes", "indptr")


@pytest.fixture(params=[False, True], ids=["even", "uneven"])
def trie(request: pytest.FixtureRequest) -> CatalogTrie:
    numbers = np.random.default_rng(0).choice(4 * 300 * 5, size=200, replace=False)
    codes = np.stack(np.unravel_index(numbers, (4, 300, 5)), axis=1)
    if request.param:
        codes[0, 2], codes[1, 1:] = -1, -1
    return CatalogTrie.from_codes(codes, (4, 300, 5), np.arange(200) + 11)


def test_a_saved_trie_is_the_same_and_mapped(trie: CatalogTrie, tmp_path: Path) -> None:
    trie.save(tmp_path / "trie")
    found = CatalogTrie.load(tmp_path / "trie", verify=True)
    assert (found.codebook_sizes, found.terminated) == (trie.codebook_sizes, trie.terminated)
    pairs = [(trie.rows, found.rows)]
    for name in ARRAYS:
        pairs += zip(getattr(trie, name), getattr(found, name), strict=True)
    for saved, mapped in pairs:
        assert isinstance(mapped, np.memmap)
        assert mapped.dtype == saved.dtype
        assert np.array_equal(mapped, saved)
    codes = trie.leaf_codes()
    assert [found.row_of(path) for path in codes.tolist()] == trie.rows.tolist()


def test_what_a_caller_does_to_the_arrays_never_reaches_the_file(trie: CatalogTrie, tmp_path: Path) -> None:
    trie.save(tmp_path / "trie")
    CatalogTrie.load(tmp_path / "trie").rows[:] = 0
    assert np.array_equal(CatalogTrie.load(tmp_path / "trie", verify=True).rows, trie.rows)


def test_changed_files_are_refused(trie: CatalogTrie, tmp_path: Path) -> None:
    trie.save(tmp_path / "trie")
    np.save(tmp_path / "trie" / "codes_1.npy", trie.codes[1][:-1])
    with pytest.raises(ArtifactError, match="do not fit each other"):
        CatalogTrie.load(tmp_path / "trie")
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        CatalogTrie.load(tmp_path / "trie", verify=True)
    (tmp_path / "trie" / "codes_1.npy").write_bytes(b"no array")
    with pytest.raises(ArtifactError, match="not a trie that can be read"):
        CatalogTrie.load(tmp_path / "trie")
    (tmp_path / "trie" / "codes_1.npy").unlink()
    with pytest.raises(ArtifactError, match="missing"):
        CatalogTrie.load(tmp_path / "trie")
