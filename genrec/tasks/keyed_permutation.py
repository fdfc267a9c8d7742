"""A permutation of the first n numbers that is computed, not stored: any size in constant memory.

Does not know what is numbered.
"""

from __future__ import annotations

MASK = (1 << 64) - 1
ROUNDS = 4


def mixed(*numbers: int) -> int:
    """A 64-bit hash of small integers (SplitMix64 steps): the same everywhere and for good."""
    value = 0
    for number in numbers:
        value = (value ^ number) + 0x9E3779B97F4A7C15 & MASK
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
        value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
        value ^= value >> 31
    return value


def permuted(index: int, size: int, key: int) -> int:
    """Where a permutation of `range(size)` takes `index`; each key is another permutation.

    A balanced Feistel network over the next power of four; a number that falls outside is sent through again
    until it falls inside, which keeps the whole a bijection.

    Args:
        index: 0 to `size - 1`.
        size: How many numbers there are, at least 1.
        key: Which permutation, 64 bits.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    low = (1 << half) - 1
    while True:
        left, right = index >> half, index & low
        for turn in range(ROUNDS):
            left, right = right, left ^ (mixed(key ^ (turn << 60 | right)) & low)
        index = left << half | right
        if index < size:
            return index
