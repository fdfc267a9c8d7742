"""The row-order probe: does the order of the item table tell the next item?

Does not know rankers: it looks at row numbers, histories and targets.

A table numbered by first appearance in the interactions, test items included, gives the answers away to
anything that can see the numbering: the next item is the one in the next row. The probe plays three rules
that know nothing but row numbers and compares their Recall@10 with the same rules on random orders of the
rows.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from genrec.data import Cases, ItemTable
from genrec.errors import DataError
from genrec.evaluation.row_rules import CUT_OFF, RULES, NumberedCases

logger = logging.getLogger(__name__)

# A leak lets a rule find clearly more than chance does; this keeps tiny differences on huge data from
# counting as one.
SMALLEST_RATIO = 1.5

ROWS, IDS = "rows of the item table", "numbers in the item ids"


@dataclass(frozen=True)
class RuleResult:
    """One rule on one numbering.

    Attributes:
        numbering: `rows of the item table` or `numbers in the item ids`.
        rule: What the rule ranks first.
        recall: Its Recall@10.
        chance: Its mean Recall@10 over random orders.
    """

    numbering: str
    rule: str
    recall: float
    chance: float


@dataclass(frozen=True)
class ProbeResult:
    """What the probe found.

    Attributes:
        rules: Every rule on every numbering.
        p_values: Numbering -> share of random orders on which some rule stands out as far as the best one
            does here.
        leaks: Numberings on which a rule beats chance. Row order never stands here: it raises.
        cases: Cases looked at.
        permutations: Random orders drawn.
    """

    rules: tuple[RuleResult, ...]
    p_values: dict[str, float]
    leaks: tuple[str, ...]
    cases: int
    permutations: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {
            "rules": [
                {
                    "numbering": rule.numbering,
                    "rule": rule.rule,
                    f"recall@{CUT_OFF}": rule.recall,
                    "chance": rule.chance,
                }
                for rule in self.rules
            ],
            "p_values": dict(self.p_values),
            "leaks": list(self.leaks),
            "cases": self.cases,
            "permutations": self.permutations,
        }


def check_row_order(
    items: ItemTable, cases: Cases, *, permutations: int = 999, seed: int = 0, max_cases: int = 10_000
) -> ProbeResult:
    """Compares rules that see row numbers only with the same rules on random orders of the rows.

    The test is a permutation test, exact whatever the popularity of items and however alike the cases are:
    under the hypothesis that the order is arbitrary, the table's own order is one draw among the random ones.
    The three rules share one p-value (largest standardised recall), so a harmless table is refused at most
    once in `permutations + 1`. To be called a leak, the best rule must also find 1.5 times what chance finds.

    Row order that beats chance is an error. It need not be a leak (a table sorted by category or brand does
    it too), but the cure is the same and costs nothing: no result depends on the order of rows, so shuffle
    them. Where item ids are consecutive numbers, their order is probed as a second numbering; it is told, not
    refused: ids in the order of a shop's listings say much about the next item without having seen a history.

    Args:
        items: The item table, in the order in which it was read.
        cases: The cases whose numbers are to be printed.
        permutations: Random orders.
        seed: Of the orders and of the sample of cases.
        max_cases: More cases are sampled.

    Raises:
        DataError: A rule beats chance on the order of the rows.
    """
    sample = cases.sample(max_cases, seed=seed) if len(cases) > max_cases else cases
    numberings = {ROWS: np.arange(len(items))}
    numbers = consecutive_numbers(items.item_ids)
    if numbers is not None and not np.array_equal(numbers, numberings[ROWS]):
        numberings[IDS] = numbers
    flat = NumberedCases.of(items.item_ids, sample)
    if not flat.size:
        return ProbeResult((), {}, (), 0, 0)
    generator = np.random.default_rng(seed)
    orders = (generator.permutation(len(items)) for _ in range(permutations))
    drawn = np.stack(
        [flat.hits(order) for order in tqdm(orders, desc="row-order probe", total=permutations, disable=None)]
    )
    mean, spread = drawn.mean(axis=0), np.maximum(drawn.std(axis=0), 1e-9)  # drawn: [orders, rules]
    outstanding = ((drawn - mean) / spread).max(axis=1)  # [orders]
    rules: list[RuleResult] = []
    p_values: dict[str, float] = {}
    leaks: list[str] = []
    for name, numbering in numberings.items():
        hits = flat.hits(numbering)  # [rules]
        standardised = (hits - mean) / spread
        p_values[name] = float((1 + (outstanding >= standardised.max()).sum()) / (permutations + 1))
        found = [
            RuleResult(name, rule, float(hits[i] / flat.size), float(mean[i] / flat.size))
            for i, rule in enumerate(RULES)
        ]
        rules += found
        best = found[int(standardised.argmax())]
        if p_values[name] <= 1 / (permutations + 1) and best.recall > SMALLEST_RATIO * best.chance:
            _tell(best, p_values[name], flat.size)
            leaks.append(name)
    return ProbeResult(tuple(rules), p_values, tuple(leaks), flat.size, permutations)


def _tell(best: RuleResult, p_value: float, cases: int) -> None:
    measured = (
        f"recall@{CUT_OFF} {best.recall:.4f} by the rule '{best.rule}', {best.chance:.4f} by chance "
        f"(p = {p_value:.2g}, {cases} cases)"
    )
    if best.numbering == ROWS:
        raise DataError(
            "the order of the item table's rows tells the next item, so its numbers cannot be trusted",
            received=measured,
            remedy="shuffle the rows of the item table; where items are numbered by first appearance in the "
            "interactions, give them new ids at random too, and make Semantic IDs anew that were made from "
            "that numbering",
        )
    logger.warning("the numbers in the item ids are not arbitrary: %s; genrec never uses them", measured)


def consecutive_numbers(item_ids: Sequence[str]) -> np.ndarray | None:
    """Places of the ids in the order of their numbers, int64 `[items]`.

    Only where ids are one text and a number (`s0012`, `7`) and the numbers run on, at most as many left out
    as taken; else None.
    """
    parts = [re.fullmatch(r"(.*?)(\d{1,18})", item, flags=re.DOTALL) for item in item_ids]
    numbers: list[int] = []
    for part in parts:
        if part is None or part[1] != (parts[0] or part)[1]:
            return None
        numbers.append(int(part[2]))
    if not numbers or len(set(numbers)) < len(numbers) or max(numbers) - min(numbers) >= 2 * len(numbers):
        return None
    places = np.empty(len(numbers), dtype=np.int64)
    places[np.argsort(numbers)] = np.arange(len(numbers))
    return places
