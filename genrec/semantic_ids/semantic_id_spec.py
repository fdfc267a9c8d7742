"""`SemanticIdSpec`: how many codes each position of a Semantic ID has, and how a code is written as a token.

Does not know which item has which code, nor token ids of any language model.
"""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass

from genrec.errors import SemanticIdError

_TOKEN = re.compile(r"<([a-z]+)_(0|[1-9][0-9]*)>")
_EXAMPLE = "<a_12>"


@dataclass(frozen=True)
class SemanticIdSpec:
    """Sizes of a Semantic ID's positions: the only truth about its length.

    Every position has an entry, a disambiguation position included, so nobody ever adds one to `length`.
    Tokens are written as in LC-Rec (arXiv 2311.09049): the letter is the position, the number the code.

    Attributes:
        codebook_sizes: Number of codes of each position, each at least 1.

    Raises:
        SemanticIdError: No position, or a size that is no whole number of at least 1.
    """

    codebook_sizes: tuple[int, ...]

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
        """Number of codes of an ID."""
        return len(self.codebook_sizes)

    @property
    def capacity(self) -> int:
        """Number of distinct IDs."""
        return math.prod(self.codebook_sizes)

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
