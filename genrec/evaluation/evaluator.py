"""`RetrievalEvaluator`: any `Ranker` on a set of cases, over the full catalog, hits counted per item.

Does not know how a list was made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from tqdm.auto import tqdm

from genrec.data import Cases, canonical_order
from genrec.errors import DataError
from genrec.evaluation.bootstrap import bootstrap_intervals
from genrec.evaluation.metrics import list_metrics, repeated
from genrec.evaluation.result import EvaluationResult
from genrec.ranking import Ranker

CASES_AT_ONCE = 2048

BLANK = -1
NOT_IN_CATALOG = -2


class RetrievalEvaluator:
    """Asks a ranker for the next item of every case and measures where the target stands.

    With `mask_history` the evaluator asks for as many more items as the history has distinct ones, takes
    those of the history out, whatever the ranker, and measures what is left. A target that stands in its own
    history can then not be hit: the case counts as a miss, for every ranker alike.

    Args:
        cases: Histories and targets.
        item_ids: The catalog: the items that may be named.
        ks: Cut-offs of recall and NDCG; MRR is taken at the largest.
        mask_history: Whether the history's items are taken out of the lists.
        bootstrap: Resamples of the 95 % intervals; 0 = none.
        seed: Of the resamples.

    Raises:
        DataError: No case, no item, a cut-off below 1, or a target outside the catalog.
    """

    def __init__(
        self,
        cases: Cases,
        *,
        item_ids: Sequence[str],
        ks: Sequence[int] = (5, 10),
        mask_history: bool = False,
        bootstrap: int = 1000,
        seed: int = 0,
    ) -> None:
        self.cases = cases
        self.ks = tuple(sorted(set(ks)))
        self.mask_history = mask_history
        self.bootstrap = bootstrap
        self.seed = seed
        self._row = {item: row for row, item in enumerate(canonical_order(item_ids))}
        self._check()
        self._targets = np.array([self._row[item] for item in cases.targets], dtype=np.int64)  # [cases]
        self._masked = [
            sorted({self._row[item] for item in history if item in self._row}) if mask_history else []
            for history in cases.histories
        ]

    def evaluate(self, ranker: Ranker) -> EvaluationResult:
        """Measures one ranker on all cases.

        Raises:
            DataError: The ranker returned lists of another shape than it was asked for.
        """
        n, k = len(self.cases), max(self.ks)
        per_user: dict[str, np.ndarray] = {}
        invalid = duplicate = 0
        seconds = 0.0
        with tqdm(total=n, desc=f"evaluating {ranker.name}", unit="case", disable=None) as progress:
            for chosen, masked in self._batches():
                began = time.perf_counter()
                lists = self._lists(ranker, chosen, k + masked)  # [batch, k + masked]
                seconds += time.perf_counter() - began
                lists = self._without_history(lists, chosen)[:, :k]  # [batch, k]
                fillable = np.arange(k) < len(self._row) - masked  # [k]
                invalid += int(((lists == NOT_IN_CATALOG) | ((lists == BLANK) & fillable)).sum())
                duplicate += int(repeated(lists).sum())
                for name, values in list_metrics(lists, self._targets[chosen], self.ks).items():
                    per_user.setdefault(name, np.zeros(n))[chosen] = values
                progress.update(len(chosen))
        return EvaluationResult(
            name=ranker.name,
            metrics={name: float(values.mean()) for name, values in per_user.items()},
            intervals=bootstrap_intervals(per_user, resamples=self.bootstrap, seed=self.seed),
            per_user={name: values.astype(np.float32) for name, values in per_user.items()},
            user_ids=self.cases.user_ids,
            cases=self.cases.fingerprint(),
            history_masked=self.mask_history,
            invalid_rate=invalid / (n * k),
            duplicate_rate=duplicate / (n * k),
            seconds=seconds,
        )

    def _batches(self) -> Iterator[tuple[np.ndarray, int]]:
        """Cases with equally many masked items: what is asked for depends on the case alone."""
        counts = np.array([len(rows) for rows in self._masked])
        for masked in np.unique(counts).tolist():
            chosen = np.flatnonzero(counts == masked)
            for start in range(0, len(chosen), CASES_AT_ONCE):
                yield chosen[start : start + CASES_AT_ONCE], masked

    def _lists(self, ranker: Ranker, chosen: np.ndarray, k: int) -> np.ndarray:
        """The ranker's lists as rows of the catalog, int64 `[batch, k]`."""
        items, scores = ranker.rank([self.cases.histories[i] for i in chosen], k)
        if items.shape != (len(chosen), k) or scores.shape != items.shape:
            raise DataError(
                f"the ranker {ranker.name!r} returned lists of a wrong shape",
                received=f"items {items.shape}, scores {scores.shape}, asked for {(len(chosen), k)}",
                remedy="return arrays [histories, k], filled up with '' and minus infinity",
            )
        rows = [self._row.get(item, NOT_IN_CATALOG) if item else BLANK for item in items.ravel().tolist()]
        return np.array(rows, dtype=np.int64).reshape(items.shape)

    def _without_history(self, lists: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Takes masked items out and moves what follows up; blanks fill the end."""
        masked = np.array([self._masked[i] for i in chosen], dtype=np.int64).reshape(len(chosen), -1)
        if not masked.shape[1]:
            return lists
        out = np.zeros(lists.shape, dtype=bool)
        for column in masked.T:  # one masked item of every case
            out |= lists == column[:, None]
        order = np.argsort(out, axis=1, kind="stable")  # [batch, k + masked]
        return np.take_along_axis(np.where(out, BLANK, lists), order, axis=1)

    def _check(self) -> None:
        if not len(self.cases):
            raise DataError(
                "there is no case to evaluate", remedy="check the split: no user had enough items"
            )
        if not self.ks or self.ks[0] < 1:
            raise DataError(
                "the cut-offs must be 1 or more", received=f"ks={self.ks}", remedy="give e.g. ks=(5, 10)"
            )
        if self.bootstrap < 0:
            raise DataError(
                "the number of resamples is negative", received=self.bootstrap, remedy="give 0 or more"
            )
        missing = sorted({item for item in self.cases.targets if item not in self._row})
        if missing:
            raise DataError(
                f"{len(missing)} targets are not in the catalog of {len(self._row)} items",
                received=", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else ""),
                remedy="evaluate over a catalog that holds every target, or leave those cases out",
            )
