"""Evaluation cases and the three parts of a split.

Does not know how a log is cut: `genrec.data.splits` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrec.data.canonical import json_bytes
from genrec.errors import DataError

if TYPE_CHECKING:
    from genrec.data.interactions import InteractionLog


@dataclass(frozen=True)
class Histories:
    """All users' items as flat arrays.

    Attributes:
        user_ids: Users, in the order of `offsets`.
        item_ids: Distinct items, in canonical order.
        items: int32 `[interactions]`, indices into `item_ids`, user after user, oldest first.
        offsets: int64 `[users + 1]`; user `u` holds `items[offsets[u]:offsets[u + 1]]`.
    """

    user_ids: list[str]
    item_ids: list[str]
    items: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Cases:
    """What is asked of a ranker: one history and the one item that came next, per case.

    Attributes:
        user_ids: The user of each case.
        histories: The item ids that user had before, oldest first, the newest last.
        targets: The item id that came next.

    Raises:
        DataError: The three are not of one length.
    """

    user_ids: tuple[str, ...]
    histories: tuple[tuple[str, ...], ...]
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        """Makes tuples of what was given and checks the lengths."""
        object.__setattr__(self, "user_ids", tuple(self.user_ids))
        object.__setattr__(self, "histories", tuple(map(tuple, self.histories)))
        object.__setattr__(self, "targets", tuple(self.targets))
        lengths = (len(self.user_ids), len(self.histories), len(self.targets))
        if len(set(lengths)) > 1:
            raise DataError(
                "a case needs a user, a history and a target",
                received="{} users, {} histories, {} targets".format(*lengths),
                remedy="pass three sequences of the same length",
            )

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.targets)

    def subset(self, indices: Iterable[int]) -> Cases:
        """Returns the cases at these positions, in that order."""
        chosen = [int(index) for index in indices]
        return Cases(
            tuple(self.user_ids[i] for i in chosen),
            tuple(self.histories[i] for i in chosen),
            tuple(self.targets[i] for i in chosen),
        )

    def sample(self, n: int, seed: int = 0) -> Cases:
        """Returns n cases, or all where there are no more; the choice does not depend on their order.

        Cases are drawn by a hash of the seed and their content, and keep the order they have here.

        Raises:
            DataError: n is below 1.
        """
        if n < 1:
            raise DataError("a sample needs at least one case", received=f"n={n}", remedy="ask for n >= 1")
        digests = [digest + seed.to_bytes(8, "big", signed=True) for digest in self._digests()]
        ranked = sorted(range(len(self)), key=lambda index: hashlib.sha256(digests[index]).digest())
        return self.subset(sorted(ranked[:n]))

    def fingerprint(self) -> str:
        """Returns a sha256 (64 hex digits) of all cases, independent of their order."""
        return hashlib.sha256(b"".join(sorted(self._digests()))).hexdigest()

    def numbers(self) -> np.ndarray:
        """Returns a number of each case from 0, int64 `[cases]`, that does not depend on the cases' order.

        Cases are numbered in the order of the sha256 of their content, so a number tells nothing of its user;
        two sets of cases with one fingerprint have the same numbers.
        """
        numbers = np.empty(len(self), dtype=np.int64)
        digests = self._digests()
        numbers[sorted(range(len(self)), key=digests.__getitem__)] = np.arange(len(self))
        return numbers

    def _digests(self) -> list[bytes]:
        rows = zip(self.user_ids, self.histories, self.targets, strict=True)
        return [hashlib.sha256(json_bytes(row)).digest() for row in rows]


@dataclass(frozen=True)
class Split:
    """A log cut into what trains, what chooses and what judges.

    Attributes:
        train: The interactions to learn from.
        validation: Cases to choose settings by.
        test: Cases to report.
        rule: The exact rule with its settings, in words.
        held_out: Items that nothing may be learned about, in `canonical_order`; () where only interactions
            are held out.
    """

    train: InteractionLog
    validation: Cases
    test: Cases
    rule: str
    held_out: tuple[str, ...] = ()
