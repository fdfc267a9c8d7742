"""The trie as a table of tokens holds every path and no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec import SemanticIdSpec
from genrec.catalog import CatalogTrie
from genrec.decoding import token_trie
from genrec.errors import DecodingError
from genrec.semantic_ids import USER_CODEBOOK_SIZES
from genrec.vocabulary import SemanticIdVocabulary

SIZES = (3, 4, 2)
VOCABULARY = SemanticIdVocabulary(
    SemanticIdSpec(SIZES),  # ids that rise with the code, fall, and lie between the others
    (np.array([7, 8, 9]), np.array([40, 30, 20, 10]), np.array([15, 35])),
    terminator_id=50,
    user_token_ids=[100 * (p + 1) + np.arange(size) for p, size in enumerate(USER_CODEBOOK_SIZES)],
)


def paths(table: np.ndarray, row: int = 0, path: tuple[int, ...] = ()) -> dict[tuple[int, ...], int]:
    """Item row by path of tokens."""
    _, low, high = table[row]
    if len(path) == len(SIZES):
        assert high == low + 1
        return {path: int(table[low, 0])}
    assert (np.diff(table[low:high, 0]) > 0).all()
    found: dict[tuple[int, ...], int] = {}
    for child in range(low, high):
        found |= paths(table, child, (*path, int(table[child, 0])))
    return found


@given(st.sets(st.tuples(*(st.integers(0, size - 1) for size in SIZES)), min_size=1), st.integers(0, 3))
def test_every_item_stands_behind_its_tokens(ids: set[tuple[int, ...]], first: int) -> None:
    codes = np.array(sorted(ids, key=hash), dtype=np.int32)
    rows = np.arange(len(codes))[::-1] + first
    table = token_trie(CatalogTrie.from_codes(codes, SIZES, rows=rows), VOCABULARY)
    tokens = VOCABULARY.encode(codes)
    assert paths(table) == {tuple(t): int(row) for t, row in zip(tokens.tolist(), rows, strict=True)}
    assert table.dtype == np.int32


def test_what_has_no_table_is_refused() -> None:
    for codes in (np.array([[0, 1, -1]]), np.zeros((0, 3), dtype=np.int32)):
        with pytest.raises(DecodingError, match="one length"):
            token_trie(CatalogTrie.from_codes(codes, SIZES), VOCABULARY)
