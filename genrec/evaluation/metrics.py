"""Recall, NDCG and MRR of ranked lists with one target each, by ir_measures.

Does not know rankers, item ids or intervals: lists of row numbers in, one value per list out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def list_metrics(lists: np.ndarray, targets: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Metrics of each list.

    A slot that holds no item of the catalog, or an item that stands further up already, keeps its place and
    never hits, so nothing moves up for it.

    Args:
        lists: int64 `[n, slots]`, rows of the catalog, best first; below 0 = no item. Slots beyond the
            largest cut-off do not count.
        targets: int64 `[n]`, rows of the catalog.
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
    qrels = {str(i): {str(row): 1} for i, row in enumerate(targets.tolist())}
    values = {name: np.zeros(len(lists)) for name in measures}
    if len(lists):
        for found in ir_measures.pytrec_eval.evaluator(list(names), qrels).iter_calc(run):
            values[names[found.measure]][int(found.query_id)] = found.value
    return values


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
