"""User codes: of the history alone, the same in training and in serving, and saved without any user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.errors import ArtifactError, ConfigError, DataError, SemanticIdError
from genrec.quantization import ResidualKMeans
from genrec.semantic_ids import USER_CODEBOOK_SIZES, UserTokenizer

RNG = np.random.default_rng(0)
BOOKS = [RNG.normal(size=(6, 4)), RNG.normal(size=(5, 4)), RNG.normal(size=(4, 4))]


def histories(count: int = 80) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [
        np.stack([rng.integers(0, size, length) for size in (6, 5, 4)], axis=1)
        for length in rng.integers(1, 9, count)
    ]


@pytest.fixture(scope="module")
def fitted() -> UserTokenizer:
    return UserTokenizer(BOOKS, ResidualKMeans(3, 64, iterations=5)).fit(histories())


def test_codes_are_three_of_64_and_the_newest_item_weighs_most(fitted: UserTokenizer) -> None:
    for history in histories()[:20]:
        codes = fitted.encode(history)
        assert codes.shape == (3,)
        assert (codes >= 0).all()
        assert (codes < USER_CODEBOOK_SIZES).all()
    one, other = np.array([[0, 0, 0]]), np.array([[5, 4, 3]])
    vectors = [fitted.vector(np.concatenate(pair)) for pair in ((one, other), (other, one))]
    ends = [fitted.vector(other), fitted.vector(one)]
    for vector, newest, oldest in zip(vectors, ends, ends[::-1], strict=True):
        assert np.linalg.norm(vector - newest) < np.linalg.norm(vector - oldest)


@given(st.integers(0, 79))
def test_a_repeated_history_has_the_same_codes(fitted: UserTokenizer, number: int) -> None:
    history = histories()[number]
    np.testing.assert_array_equal(fitted.encode(history), fitted.encode(history.copy()))


def test_what_is_saved_gives_the_same_codes(fitted: UserTokenizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "users")
    loaded = UserTokenizer.load(tmp_path / "users")
    for history in histories()[:10]:
        np.testing.assert_array_equal(loaded.encode(history), fitted.encode(history))
    (tmp_path / "users/code_vectors.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        UserTokenizer.load(tmp_path / "users")


def test_what_is_no_history_is_refused(fitted: UserTokenizer) -> None:
    for wrong in (np.empty((0, 3), int), np.array([[0, 0]]), np.array([[6, 0, 0]]), np.array([[-1, 0, 0]])):
        with pytest.raises(SemanticIdError, match="a history of Semantic IDs"):
            fitted.encode(wrong)
    with pytest.raises(DataError, match="none"):
        UserTokenizer(BOOKS).fit([])
    with pytest.raises(DataError, match="learned nothing"):
        UserTokenizer(BOOKS).encode(histories()[0])
    with pytest.raises(ConfigError, match="three of 64"):
        UserTokenizer(BOOKS, ResidualKMeans(2, 64))
    with pytest.raises(ConfigError, match="decay up to 1"):
        UserTokenizer(BOOKS, decay=0)
