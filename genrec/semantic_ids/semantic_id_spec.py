"""`SemanticIdSpec`: how many codes each position of a Semantic ID has, and how a code is written as a token.

Does not know which item has which code, nor token ids of any language model.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, takewhile
from operator import mul

import numpy as np

from genrec.errors import SemanticIdError
from genrec.quantization import checked_codes

END = -1  # stands behind the end of an ID shorter than the others

_TOKEN = re.compile(r"<([a-z]+)_(0|[1-9][0-9]*)>")
_EXAMPLE = "<a_12>"


@dataclass(frozen=True)
class SemanticIdSpec:
    """Sizes of a Semantic ID's positions: the only truth about its length.

    Every position has an entry, a disambiguation position included, so nobody ever adds one to `length`.
    Tokens are written as in LC-Rec (arXiv 2311.09049): the letter is the position, the number the code.

    Attributes:
        codebook_sizes: Number of codes of each position, each at least 1.
        terminated: Whether IDs may end before the last position. Then -1 stands behind the end of a shorter
            one in every matrix of codes, and as tokens each ID, the longest too, ends in a terminator.

    Raises:
        SemanticIdError: No position, or a size that is no whole number of at least 1.
    """

    codebook_sizes: tuple[int, ...]
    terminated: bool = False

    def __post_init__(self) -> None:
        """Checks the sizes and turns them into plain ints, so that equal specs are equal."""
        try:
            sizes = tuple(operator.index(size) for size in self.codebook_sizes)
        except TypeError as error:
            raise SemanticIdError(
                "codebook sizes must be whole numbers",
                received=repr(self.codebook_sizes),
                remedy="give a tuple such as (256, 256, 256)",
            ) from error
        if not sizes or min(sizes) < 1:
            raise SemanticIdError(
                "a Semantic ID needs at least one position, and every position at least one code",
                received=repr(sizes),
                remedy="give a tuple such as (256, 256, 256)",
            )
        object.__setattr__(self, "codebook_sizes", sizes)

    @property
    def length(self) -> int:
        """Number of codes of an ID; of the longest where they are of unequal length."""
        return len(self.codebook_sizes)

    @property
    def num_tokens(self) -> int:
        """Tokens of an ID at most, the terminator included."""
        return self.length + self.terminated

    @property
    def capacity(self) -> int:
        """Number of distinct IDs."""
        by_length = list(accumulate(self.codebook_sizes, mul))
        return sum(by_length) if self.terminated else by_length[-1]

    def tokens(self, codes: Iterable[int]) -> tuple[str, ...]:
        """Tokens of an ID's codes up to its end, without the terminator.

        Raises:
            SemanticIdError: There is no such position or code.
        """
        own = takewhile(lambda code: code != END, map(int, codes))
        return tuple(self.token(position, code) for position, code in enumerate(own))

    @staticmethod
    def position_letter(position: int) -> str:
        """Letter of a position, counted from 0: a … z, aa, ab … zz, aaa and so on.

        Raises:
            SemanticIdError: A negative position.
        """
        if position < 0:
            raise SemanticIdError(
                "positions are counted from 0", received=position, remedy="give a position of at least 0"
            )
        letters, rest = "", position
        while rest >= 0:
            rest, letter = rest // 26 - 1, rest % 26
            letters = chr(ord("a") + letter) + letters
        return letters

    def token(self, position: int, code: int) -> str:
        """Token of a code, such as ``<a_12>`` for code 12 of position 0.

        Raises:
            SemanticIdError: There is no such position or code.
        """
        self._check(position, code)
        return f"<{self.position_letter(position)}_{code}>"

    def parse(self, token: str) -> tuple[int, int]:
        """Position and code of a token that `token` wrote.

        Raises:
            SemanticIdError: The text is no such token, or names a position or code that is not there.
        """
        position, code = token_position(token)
        self._check(position, code)
        return position, code

    def _check(self, position: int, code: int) -> None:
        if not 0 <= position < self.length:
            raise SemanticIdError(
                f"a Semantic ID of {self.length} codes has the positions 0 to {self.length - 1}",
                received=f"position {position}",
                remedy="check the codebook sizes of the spec",
            )
        if not 0 <= code < self.codebook_sizes[position]:
            raise SemanticIdError(
                f"position {position} has the codes 0 to {self.codebook_sizes[position] - 1}",
                received=f"code {code}",
                remedy="check the codebook sizes of the spec",
            )


def _position_of(letters: str) -> int:
    position = 0
    for letter in letters:
        position = position * 26 + ord(letter) - ord("a") + 1
    return position - 1


def checked_ids(codes: np.ndarray, spec: SemanticIdSpec) -> np.ndarray:
    """IDs as int64 ``[n, L]``, -1 behind the end of a shorter one where the spec has such.

    Raises:
        SemanticIdError: No matrix of whole numbers, another length, a code out of its position's range, an
            empty ID or one with a gap.
    """
    array = np.asarray(codes)
    if not spec.terminated or array.dtype.kind != "i" or array.shape[1:] != (spec.length,):
        return checked_codes(array, spec.codebook_sizes)
    ended = array == END  # [n, L]
    gaps = ended[:, :1].any(axis=1) | (ended[:, :-1] & ~ended[:, 1:]).any(axis=1)
    if gaps.any():
        raise SemanticIdError(
            "-1 stands behind the end of an ID only, and no ID is empty",
            received=f"the codes {array[int(np.argmax(gaps))].tolist()}",
            remedy="give every ID its codes first, then -1 to the last position",
        )
    return np.where(ended, END, checked_codes(np.where(ended, 0, array), spec.codebook_sizes))


def token_position(token: str) -> tuple[int, int]:
    """Position and code a token names, whatever spec it belongs to (for reading index files).

    Raises:
        SemanticIdError: The text is no Semantic-ID token.
    """
    match = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    if match is None:
        raise SemanticIdError(
            "this is no Semantic-ID token",
            received=repr(token),
            remedy=f"write a token as {_EXAMPLE}: position letter, underscore, code",
        )
    return _position_of(match[1]), int(match[2])
