"""Numbers that tell apart the items of one path, and IDs of unequal length as one matrix.

Does not know how paths are made; pure functions over arrays and tuples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from genrec.errors import SemanticIdError
from genrec.semantic_ids.semantic_id_spec import END

Path = tuple[int, ...]


def filled(ids: Sequence[Path], behind: Sequence[int]) -> np.ndarray:
    """IDs of unequal length as one matrix.

    Args:
        ids: Codes of each ID.
        behind: What stands at each position behind the end of a shorter one.

    Returns:
        int32 ``[n, L]``.
    """
    matrix = np.tile(np.array(behind, dtype=np.int32), (len(ids), 1))  # [n, L]
    for row, codes in enumerate(ids):
        matrix[row, : len(codes)] = codes
    return matrix


def numbered(
    paths: Sequence[Path], taken: Iterable[Path], first: int, num_codes: int, most_digits: int
) -> list[Path]:
    """Appends to each path the lowest number that no item of the path has.

    A number below `num_codes` is one code, a higher one two, and so on: `(0) … (n - 1), (0, 0), (0, 1) …`,
    each moved up by `first`. Every ID ends in a terminator, so none is the beginning of another.

    Args:
        paths: Path of each item; of items with one path the one further up gets the lower number, so hand
            them over in canonical order.
        taken: IDs, path and number, that other items have.
        first: Code of the digit 0; paths have lower codes only, so no number looks like a path.
        num_codes: Codes of a number's digit.
        most_digits: Digits at most.

    Raises:
        SemanticIdError: More items on one path than there are numbers.
    """
    used = set(taken)
    numbers: dict[Path, Iterator[Path]] = {}
    found = []
    for path in paths:
        free = numbers.setdefault(path, _numbers(first, num_codes, most_digits))
        code = next((path + digits for digits in free if path + digits not in used), None)
        if code is None:
            raise SemanticIdError(
                f"an index has no number left for the items under one path of {len(path)} codes",
                received=f"the path {path}, {num_codes} codes, at most {most_digits} of them",
                remedy="use a larger leaf_size, or more levels",
            )
        found.append(code)
    return found


def _numbers(first: int, num_codes: int, most_digits: int) -> Iterator[Path]:
    for digits in range(1, most_digits + 1):
        for number in np.ndindex((num_codes,) * digits):
            yield tuple(first + digit for digit in number)


def digits_of(number: int, codebook_sizes: Sequence[int]) -> Path:
    """A number written in the codebooks' sizes, the last position counting ones."""
    digits = []
    for size in reversed(codebook_sizes):
        number, digit = divmod(number, size)
        digits.append(digit)
    return tuple(reversed(digits))


def up_to_the_end(codes: np.ndarray) -> list[Path]:
    """The other way round from `filled`: the codes of each ID ``[n, L]`` up to its first -1."""
    ends = codes == END
    lengths = np.where(ends.any(axis=1), ends.argmax(axis=1), codes.shape[1])
    return [tuple(row[:length]) for row, length in zip(codes.tolist(), lengths.tolist(), strict=True)]
