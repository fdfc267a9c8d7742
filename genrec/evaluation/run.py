"""`RetrievalRun`: the lists of one ranker and what they should hold, and the numbers that follow from them.

Does not know rankers or files: a run read from a file gives the numbers it gave when it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from genrec.evaluation.bootstrap import bootstrap_intervals, slice_intervals
from genrec.evaluation.metrics import Relevance, graded_metrics, repeated
from genrec.evaluation.result import EvaluationResult, SliceResult, masking_rule

# What a slot of a list holds that holds no new item of the catalog.
BLANK = -1  # nothing, and nothing was left to fill it with
INVALID = -2  # no item of the catalog, although there was one to fill it with
REPEAT = -3  # an item that stands further up


@dataclass(frozen=True)
class RetrievalRun:
    """Everything the numbers of one ranker follow from.

    Attributes:
        name: The ranker's name.
        case_ids: A name of each case that does not tell its user: the case's number in an order that does not
            depend on that of the log, or the query's id.
        user_ids: The user (dialogue, query) of each case; cases of one user are drawn together.
        items: Item ids that rows refer to, object `[items]`.
        lists: int64 `[cases, K]`, rows of `items`, best first, after masking; `BLANK`, `INVALID` or `REPEAT`.
        relevance: What the lists should hold, in rows of `items`.
        ks: Cut-offs; K is the largest.
        cases: Fingerprint of the cases.
        masking: The rule of masking, in words.
        catalog: Fingerprint of the catalog: which items could be named.
        num_items: Size of the catalog.
        slices: Name -> which cases, bool `[cases]`.
        semantic_ids: The Semantic ID of each item, object `[items]`, None where IDs are not looked at.
        seconds: Time the ranker took for all lists.
        facts: What else belongs beside the numbers: recipe, seed, hardware, date.
    """

    name: str
    case_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    items: np.ndarray
    lists: np.ndarray
    relevance: Relevance
    ks: tuple[int, ...]
    cases: str
    masking: str
    catalog: str
    num_items: int
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)
    semantic_ids: np.ndarray | None = None
    seconds: float = 0.0
    facts: Mapping[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.case_ids)

    def users(self) -> np.ndarray | None:
        """The user of each case as a number, int64 `[cases]`; None where each case has a user of its own."""
        numbers = {user: number for number, user in enumerate(dict.fromkeys(self.user_ids))}
        if len(numbers) == len(self):
            return None
        return np.array([numbers[user] for user in self.user_ids], dtype=np.int64)

    def values(self) -> dict[str, np.ndarray]:
        """Metric -> one value a case, float64 `[cases]`."""
        return graded_metrics(self.lists, self.relevance, self.ks)

    def id_values(self) -> dict[str, np.ndarray]:
        """The metrics where a hit counts for the Semantic ID, float64 `[cases]` each.

        Items of one ID take one place, that of the first, and those below move up. As the list holds K items,
        it may hold fewer than K distinct IDs; the value is never below the item's.
        """
        if self.semantic_ids is None:
            return {}
        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.semantic_ids.tolist()))}
        id_of = np.array([numbers[name] for name in self.semantic_ids], dtype=np.int64)  # [items]
        lists = np.where(self.lists >= 0, id_of[self.lists], self.lists)  # [cases, K]
        again = repeated(lists)
        lists = moved_up(np.where(again, BLANK, lists), again)
        best: dict[tuple[int, int], int] = {}
        judged = self.relevance
        for case, row, grade in zip(judged.of_list(), id_of[judged.rows], judged.grades, strict=True):
            key = (int(case), int(row))
            best[key] = max(best.get(key, 0), int(grade))
        cases = np.array([case for case, _ in best], dtype=np.int64)
        relevance = Relevance(
            np.array([row for _, row in best], dtype=np.int64),
            np.array(list(best.values()), dtype=np.int64),
            np.searchsorted(cases, np.arange(len(self) + 1)),
        )
        return graded_metrics(lists, relevance, self.ks)

    def result(self, *, bootstrap: int, seed: int) -> EvaluationResult:
        """The numbers.

        Args:
            bootstrap: Resamples of the 95 % intervals; 0 = none.
            seed: Of the resamples.
        """
        values, users = self.values(), self.users()
        draws = {"resamples": bootstrap, "seed": seed}
        parts = slice_intervals(values, self.slices, users=users, **draws)
        id_values = self.id_values()
        slots = self.lists.size
        named = np.unique(self.lists)
        return EvaluationResult(
            name=self.name,
            metrics={name: float(column.mean()) for name, column in values.items()},
            intervals=bootstrap_intervals(values, users=users, **draws),
            per_user={name: column.astype(np.float32) for name, column in values.items()},
            user_ids=self.user_ids,
            cases=self.cases,
            history_masked=self.masking == masking_rule(True),
            invalid_rate=int((self.lists == INVALID).sum()) / slots,
            duplicate_rate=int((self.lists == REPEAT).sum()) / slots,
            seconds=self.seconds,
            coverage=int((named >= 0).sum()) / self.num_items,
            slices={
                name: SliceResult(int(mask.sum()), _means(values, mask), parts[name])
                for name, mask in self.slices.items()
            },
            id_level=SliceResult(
                len(self),
                {name: float(column.mean()) for name, column in id_values.items()},
                bootstrap_intervals(id_values, users=users, **draws),
            )
            if id_values
            else None,
            run=self,
        )


def moved_up(lists: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Lists whose marked slots went to the end, int64 `[n, slots]`."""
    order = np.argsort(out, axis=1, kind="stable")  # [n, slots]
    return np.take_along_axis(lists, order, axis=1)


def _means(values: Mapping[str, np.ndarray], mask: np.ndarray) -> dict[str, float]:
    return {name: float(column[mask].mean()) for name, column in values.items()} if mask.any() else {}
