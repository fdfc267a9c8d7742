"""`RetrievalEvaluator`: any `Ranker` on a set of cases, over the full catalog, hits counted per item.

Does not know how a list was made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrec.config import fingerprint
from genrec.data import Cases, InteractionLog, canonical_order
from genrec.errors import DataError
from genrec.evaluation.asking import asked_lists
from genrec.evaluation.metrics import Relevance
from genrec.evaluation.result import EvaluationResult, masking_rule
from genrec.evaluation.run import RetrievalRun
from genrec.evaluation.slices import case_slices
from genrec.ranking import Ranker

if TYPE_CHECKING:
    from accelerate import PartialState


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
        train: The training log: with it the numbers are given for slices too, see `case_slices`.
        slices: More slices, name -> which cases, bool `[cases]`.
        semantic_ids: The Semantic ID of every item, where several may share one: with them the numbers are
            given a second time with a hit for the right ID, beside those with a hit for the right item.

    Raises:
        DataError: No case, no item, a cut-off below 1, a target outside the catalog, a slice of other cases,
            or an item without an ID.
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
        train: InteractionLog | None = None,
        slices: Mapping[str, np.ndarray] | None = None,
        semantic_ids: Mapping[str, str] | None = None,
    ) -> None:
        self.cases = cases
        self.ks = check_cut_offs(ks)
        self.mask_history = mask_history
        self.bootstrap = check_resamples(bootstrap)
        self.seed = seed
        self._items = np.array(canonical_order(item_ids), dtype=object)
        self._row = {item: row for row, item in enumerate(self._items.tolist())}
        check_cases(cases.targets, self._row)
        self._catalog = fingerprint(self._items.tolist())
        targets = np.array([self._row[item] for item in cases.targets], dtype=np.int64)  # [cases]
        self._relevance = Relevance.of_targets(targets)
        self._masked = [
            sorted({self._row[item] for item in history if item in self._row}) if mask_history else []
            for history in cases.histories
        ]
        self._numbers = cases.numbers()
        self._fingerprint = cases.fingerprint()
        self._slices = {} if train is None else case_slices(cases, self._items.tolist(), train)
        self._slices |= checked_slices(slices, len(cases))
        self._semantic_ids = None if semantic_ids is None else ids_of(self._items.tolist(), semantic_ids)

    def evaluate(self, ranker: Ranker, processes: PartialState | None = None) -> EvaluationResult:
        """Measures one ranker on all cases.

        Args:
            ranker: Whom to ask.
            processes: The processes of a launch (`genrec.training.process_state`), each of which has such a
                ranker and calls this: every process asks for a part of the lists and gets the result of all.
                None = this process asks for all.

        Raises:
            DataError: The ranker returned lists of another shape than it was asked for.
        """

        def rank(chosen: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            return ranker.rank([self.cases.histories[i] for i in chosen], k)

        sizes = [len(history) for history in self.cases.histories]
        lists, seconds = asked_lists(
            ranker.name, rank, self._row, self._masked, sizes, max(self.ks), processes
        )
        run = RetrievalRun(
            name=ranker.name,
            case_ids=tuple(map(str, self._numbers.tolist())),
            user_ids=self.cases.user_ids,
            items=self._items,
            lists=lists,
            relevance=self._relevance,
            ks=self.ks,
            cases=self._fingerprint,
            masking=masking_rule(self.mask_history),
            catalog=self._catalog,
            num_items=len(self._items),
            slices=self._slices,
            semantic_ids=self._semantic_ids,
            seconds=seconds,
        )
        return run.result(bootstrap=self.bootstrap, seed=self.seed)


def check_cases(targets: Sequence[str], catalog: Collection[str]) -> None:
    """Refuses cases that nobody could answer.

    Raises:
        DataError: There is none, or a target is not in the catalog.
    """
    if not targets:
        raise DataError("there is no case to evaluate", remedy="check the split: no user had enough items")
    missing = sorted({item for item in targets if item not in catalog})
    if missing:
        raise DataError(
            f"{len(missing)} targets are not in the catalog of {len(catalog)} items",
            received=", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else ""),
            remedy="evaluate over a catalog that holds every target, or leave those cases out",
        )


def check_cut_offs(ks: Sequence[int]) -> tuple[int, ...]:
    """Cut-offs in ascending order, each once.

    Raises:
        DataError: None, or one below 1.
    """
    ordered = tuple(sorted(set(ks)))
    if not ordered or ordered[0] < 1:
        raise DataError(
            "the cut-offs must be 1 or more", received=f"ks={ordered}", remedy="give e.g. ks=(5, 10)"
        )
    return ordered


def checked_slices(slices: Mapping[str, np.ndarray] | None, cases: int) -> dict[str, np.ndarray]:
    """Slices as bool `[cases]` each.

    Raises:
        DataError: One is of another type or length.
    """
    found = {name: np.asarray(mask) for name, mask in (slices or {}).items()}
    for name, mask in found.items():
        if mask.dtype != bool or mask.shape != (cases,):
            raise DataError(
                f"the slice {name!r} does not say of every case whether it belongs to it",
                received=f"{mask.dtype} of shape {mask.shape} for {cases} cases",
                remedy="give a bool array with an entry for each case",
            )
    return found


def check_resamples(bootstrap: int) -> int:
    """The number of resamples.

    Raises:
        DataError: It is negative.
    """
    if bootstrap < 0:
        raise DataError("the number of resamples is negative", received=bootstrap, remedy="give 0 or more")
    return bootstrap


def ids_of(items: Sequence[str], semantic_ids: Mapping[str, str]) -> np.ndarray:
    """The Semantic ID of each item, object `[items]`.

    Raises:
        DataError: An item has none.
    """
    missing = [item for item in items if item not in semantic_ids]
    if missing:
        raise DataError(
            f"{len(missing)} items have no Semantic ID",
            received=", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else ""),
            remedy="give an ID for every item of the catalog",
        )
    return np.array([semantic_ids[item] for item in items], dtype=object)
