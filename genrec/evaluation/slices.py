"""Slices of the cases: by how often the target was trained on, and by how long the history is.

Does not know rankers or metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from genrec.data import Cases, InteractionLog

COLD = 5
SHORT = 5

PARTS = ("head items", "torso items", "tail items")


def training_counts(train: InteractionLog) -> Counter[str]:
    """Training interactions of each item, repeats included."""
    counts = np.bincount(train.items, minlength=len(train.item_ids))
    return Counter(dict(zip(train.item_ids, counts.tolist(), strict=True)))


def case_slices(
    cases: Cases, item_ids: Sequence[str], train: InteractionLog, *, cold: int = COLD, short: int = SHORT
) -> dict[str, np.ndarray]:
    """Which cases belong to which slice.

    - Head, torso and tail: the catalog in the order of training interactions is cut so that each part holds
      about a third of them; items with equally many stay together (a group goes where its middle lies).
    - Cold: the target has at most `cold` training interactions; unseen: it has none. Both are part of the
      tail as a rule.
    - Short histories hold at most `short` items, repeats included; long ones more.

    Args:
        cases: Whose targets and histories are looked at.
        item_ids: The catalog.
        train: The training log.
        cold: Largest number of training interactions of a cold item.
        short: Largest length of a short history.

    Returns:
        Name -> bool `[cases]`; slices without a case are there too.
    """
    counts = training_counts(train)
    part = popularity_parts({item: counts[item] for item in item_ids})
    targets = np.array([counts[item] for item in cases.targets], dtype=np.int64)
    parts = np.array([part[item] for item in cases.targets], dtype=np.int64)
    lengths = np.array([len(history) for history in cases.histories], dtype=np.int64)
    return {
        **{name: parts == number for number, name in enumerate(PARTS)},
        f"cold items (<= {cold})": targets <= cold,
        "unseen items": targets == 0,
        f"short histories (<= {short})": lengths <= short,
        f"long histories (> {short})": lengths > short,
    }


def popularity_parts(counts: Mapping[str, int]) -> dict[str, int]:
    """0 = head, 1 = torso, 2 = tail for every item; see `case_slices`.

    Items never trained on are tail, whatever the others are.
    """
    groups = Counter(counts.values())  # count -> how many items have it
    total = sum(count * items for count, items in groups.items())
    part_of: dict[int, int] = {}
    above = 0
    for count in sorted(groups, reverse=True):
        held = count * groups[count]
        middle = (above + held / 2) / total if count else 1.0
        part_of[count] = min(int(3 * middle), 2)
        above += held
    return {item: part_of[count] for item, count in counts.items()}
