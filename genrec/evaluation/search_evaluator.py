"""`SearchEvaluator`: any `QueryRanker` on the judged queries of a search task, or on dialogues.

Does not know how a list was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrec.config import fingerprint
from genrec.data import InteractionLog, SearchTask, canonical_order
from genrec.errors import DataError
from genrec.evaluation.asking import asked_lists
from genrec.evaluation.dialogue_cases import DialogueCases
from genrec.evaluation.evaluator import check_cases, check_cut_offs, check_resamples, checked_slices
from genrec.evaluation.metrics import Relevance
from genrec.evaluation.result import EvaluationResult, masking_rule
from genrec.evaluation.run import RetrievalRun
from genrec.evaluation.slices import case_slices
from genrec.ranking import QueryRanker

if TYPE_CHECKING:
    from accelerate import PartialState

OWN_ID_MASKED = "item with the query's own id masked"


class SearchEvaluator:
    """Asks a ranker for the items of every query, over the whole corpus, and measures them by the judgments.

    The metrics are those of `RetrievalEvaluator` with a query as the case: recall is the share of a query's
    relevant items that were found, NDCG's gain is the grade. Where a query's id is also an item's id, that
    item is taken out of its list, as BEIR does: a document is no answer to itself. Make one with `of_task` or
    `of_dialogues`.

    Args:
        queries: The texts.
        judgments: Item id -> grade, one mapping a query; each has a grade above 0.
        item_ids: The items that may be found.
        ks: Cut-offs of recall and NDCG; MRR is taken at the largest.
        bootstrap: Resamples of the 95 % intervals; 0 = none.
        seed: Of the resamples.
        masked: Item ids that are taken out of each query's list; None = none.
        masking: The rule of it, in words.
        names: `(case ids, users, fingerprint of the cases)`: queries of one user are drawn together.
        slices: Name -> which queries, bool `[queries]`.

    Raises:
        DataError: No query, a query without a relevant item, a judged item outside the corpus, or a cut-off
            below 1.
    """

    def __init__(
        self,
        queries: Sequence[str],
        judgments: Sequence[Mapping[str, int]],
        *,
        item_ids: Sequence[str],
        names: tuple[Sequence[str], Sequence[str], str],
        ks: Sequence[int] = (5, 10),
        bootstrap: int = 1000,
        seed: int = 0,
        masked: Sequence[Sequence[str]] | None = None,
        masking: str = "nothing masked",
        slices: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.queries = list(queries)
        self.ks = check_cut_offs(ks)
        self.bootstrap = check_resamples(bootstrap)
        self.seed = seed
        self.masking = masking
        self._names = names
        self._slices = checked_slices(slices, len(self.queries))
        self._items = np.array(canonical_order(item_ids), dtype=object)
        self._row = {item: row for row, item in enumerate(self._items.tolist())}
        self._catalog = fingerprint(self._items.tolist())
        self._relevance = self._judged(judgments)
        self._masked = [
            sorted({self._row[item] for item in items if item in self._row})
            for items in (masked if masked is not None else [()] * len(self.queries))
        ]

    @classmethod
    def of_task(
        cls,
        task: SearchTask,
        split: str = "test",
        *,
        ks: Sequence[int] = (5, 10),
        bootstrap: int = 1000,
        seed: int = 0,
    ) -> SearchEvaluator:
        """Evaluates on the queries of a split that have a relevant item.

        Raises:
            DataError: No such split, or no query of it has a relevant item.
        """
        judged = task.judged(split)
        own = [[query] for query in judged]
        return cls(
            [task.queries[query] for query in judged],
            [task.qrels[split][query] for query in judged],
            item_ids=task.corpus.item_ids,
            names=(judged, judged, task.fingerprint(split)),
            ks=ks,
            bootstrap=bootstrap,
            seed=seed,
            masked=own,
            masking=OWN_ID_MASKED,
        )

    @classmethod
    def of_dialogues(
        cls,
        dialogues: DialogueCases,
        item_ids: Sequence[str],
        *,
        ks: Sequence[int] = (1, 10, 50),
        bootstrap: int = 1000,
        seed: int = 0,
        train: InteractionLog | None = None,
    ) -> SearchEvaluator:
        """Evaluates on what was said before each recommendation; items mentioned before are masked.

        Dialogues are drawn whole for the intervals.

        Args:
            dialogues: Cases with their texts.
            item_ids: The items that may be recommended.
            ks: Cut-offs.
            bootstrap: Resamples; 0 = none.
            seed: Of the resamples.
            train: Mentions of the training dialogues, for slices by how often a target was seen.

        Raises:
            DataError: A target outside the items.
        """
        cases = dialogues.cases
        check_cases(cases.targets, set(item_ids))
        slices = dialogues.slices()
        if train is not None:
            slices |= case_slices(cases, item_ids, train)
        return cls(
            dialogues.texts,
            [{target: 1} for target in cases.targets],
            item_ids=item_ids,
            names=(list(map(str, cases.numbers().tolist())), cases.user_ids, cases.fingerprint()),
            ks=ks,
            bootstrap=bootstrap,
            seed=seed,
            masked=cases.histories,
            masking=masking_rule(True),
            slices=slices,
        )

    def evaluate(self, ranker: QueryRanker, processes: PartialState | None = None) -> EvaluationResult:
        """Measures one ranker on all queries.

        Args:
            ranker: Whom to ask.
            processes: As in `RetrievalEvaluator.evaluate`.

        Raises:
            DataError: The ranker returned lists of another shape than it was asked for.
        """

        def rank(chosen: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            return ranker.rank_queries([self.queries[i] for i in chosen], k)

        sizes = [len(query) for query in self.queries]
        lists, seconds = asked_lists(
            ranker.name, rank, self._row, self._masked, sizes, max(self.ks), processes
        )
        case_ids, user_ids, cases = self._names
        run = RetrievalRun(
            name=ranker.name,
            case_ids=tuple(case_ids),
            user_ids=tuple(user_ids),
            items=self._items,
            lists=lists,
            relevance=self._relevance,
            ks=self.ks,
            cases=cases,
            masking=self.masking,
            catalog=self._catalog,
            num_items=len(self._items),
            slices=self._slices,
            seconds=seconds,
        )
        return run.result(bootstrap=self.bootstrap, seed=self.seed)

    def _judged(self, judgments: Sequence[Mapping[str, int]]) -> Relevance:
        if not self.queries or len(judgments) != len(self.queries):
            raise DataError(
                "there is no query to evaluate, or not one judgment for each",
                received=f"{len(self.queries)} queries, {len(judgments)} judgments",
                remedy="pass queries that have a relevant item",
            )
        empty = [i for i, grades in enumerate(judgments) if max(grades.values(), default=0) <= 0]
        missing = sorted({item for grades in judgments for item in grades if item not in self._row})
        if empty or missing:
            raise DataError(
                f"{len(empty)} queries have no relevant item and {len(missing)} judged items are not in the "
                f"corpus of {len(self._row)}",
                received=", ".join(map(repr, missing[:5])) or repr(self.queries[empty[0]]),
                remedy="leave those queries and judgments out, or complete the corpus",
            )
        pairs = [(self._row[item], grade) for grades in judgments for item, grade in grades.items()]
        flat = np.array(pairs, dtype=np.int64)  # [judged, 2]
        return Relevance(flat[:, 0], flat[:, 1], np.cumsum([0, *map(len, judgments)]))
