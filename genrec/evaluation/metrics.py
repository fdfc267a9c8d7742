"""Recall, NDCG and MRR of ranked lists, with one target or with graded judgments, by ir_measures.

Does not know rankers, item ids or intervals: lists of row numbers in, one value per list out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Relevance:
    """What each list should hold, as flat arrays.

    Attributes:
        rows: Judged items, list after list, int64 `[m]`.
        grades: The grade of each, above 0 = relevant, int64 `[m]`.
        offsets: int64 `[n + 1]`; list i has `rows[offsets[i]:offsets[i + 1]]`.
    """

    rows: np.ndarray
    grades: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of_targets(cls, targets: np.ndarray) -> Relevance:
        """One relevant item a list, int64 `[n]`."""
        return cls(targets, np.ones(len(targets), dtype=np.int64), np.arange(len(targets) + 1))

    def __len__(self) -> int:
        """Number of lists."""
        return len(self.offsets) - 1

    def of_list(self) -> np.ndarray:
        """The list of each judged item, int64 `[m]`."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


def list_metrics(lists: np.ndarray, targets: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Metrics of lists with one target each: `graded_metrics` with grade 1.

    Args:
        lists: int64 `[n, slots]`.
        targets: int64 `[n]`, rows of the catalog.
        ks: Cut-offs.
    """
    return graded_metrics(lists, Relevance.of_targets(targets), ks)


def graded_metrics(lists: np.ndarray, relevance: Relevance, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Metrics of each list.

    A slot that holds no item of the catalog, or an item that stands further up already, keeps its place and
    never hits, so nothing moves up for it. Recall is the share of the relevant items that were found; NDCG's
    gain is the grade (Järvelin & Kekäläinen 2002, as trec_eval computes it).

    Args:
        lists: int64 `[n, slots]`, rows of the catalog, best first; below 0 = no item. Slots beyond the
            largest cut-off do not count.
        relevance: What each list should hold.
        ks: Cut-offs.

    Returns:
        `recall@k` and `ndcg@k` for every k, and `mrr@K` for the largest, float64 `[n]` each.
    """
    import ir_measures

    largest = max(ks)
    measures: dict[str, Any] = {}
    for k in ks:
        measures |= {f"recall@{k}": ir_measures.R @ k, f"ndcg@{k}": ir_measures.nDCG @ k}
    # the lists are cut at the largest k; a cut-off in the measure would leave trec_eval, the fastest provider
    measures[f"mrr@{largest}"] = ir_measures.RR
    names = {measure: name for name, measure in measures.items()}
    lists = lists[:, :largest]
    spoken = np.where((lists < 0) | repeated(lists), -1 - np.arange(lists.shape[1]), lists)  # [n, slots]
    # ir_measures breaks ties by document id: the scores 1 / place leave it none
    scores = [1.0 / place for place in range(1, lists.shape[1] + 1)]
    run = {str(i): dict(zip(map(str, row), scores, strict=True)) for i, row in enumerate(spoken.tolist())}
    qrels: dict[str, dict[str, int]] = {str(i): {} for i in range(len(lists))}
    judged = zip(
        relevance.of_list().tolist(), relevance.rows.tolist(), relevance.grades.tolist(), strict=True
    )
    for i, row, grade in judged:
        qrels[str(i)][str(row)] = grade
    values = {name: np.zeros(len(lists)) for name in measures}
    if len(lists):
        for found in ir_measures.pytrec_eval.evaluator(list(names), qrels).iter_calc(run):
            values[names[found.measure]][int(found.query_id)] = found.value
    return values


def metric_names(ks: Sequence[int]) -> list[str]:
    """Names of the metrics in the order of the tables."""
    return [*(f"{metric}@{k}" for k in ks for metric in ("recall", "ndcg")), f"mrr@{max(ks)}"]


def repeated(lists: np.ndarray) -> np.ndarray:
    """Whether a slot's item stands further up in its list, bool `[n, slots]`; no item is no repeat."""
    n, slots = lists.shape
    # a stable sort puts equal items side by side in the order of their slots
    order = np.argsort(lists, axis=1, kind="stable")  # [n, slots]
    ordered = np.take_along_axis(lists, order, axis=1)
    again = np.zeros((n, slots), dtype=bool)
    again[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    result = np.empty_like(again)
    np.put_along_axis(result, order, again, axis=1)
    return result
