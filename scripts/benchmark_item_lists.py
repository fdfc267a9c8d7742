"""Lists of a split's histories that were made before, as a ranker; part of `benchmark_item_mixtures.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from genrec.data import Split
from genrec.ranking import Ranker

DEPTH = 60  # items of a list that are kept


class SavedLists:
    """Lists of a split's histories that were made before, as a ranker."""

    def __init__(self, name: str, split: Split, item_ids: list[str], lists: dict[str, np.ndarray]) -> None:
        self.name = name
        self.items = np.array([*item_ids, ""], dtype=object)
        self.lists = lists
        self.place: dict[tuple[str, ...], tuple[str, int]] = {}
        for part in ("validation", "test"):
            for row, history in enumerate(getattr(split, part).histories):
                self.place[history] = (part, row)

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The first k of each list; shorter where fewer were saved."""
        places = [self.place[tuple(history)] for history in histories]
        items = np.full((len(places), k), "", dtype=object)
        scores = np.full((len(places), k), -np.inf, dtype=np.float32)
        for part in ("validation", "test"):
            mine = [i for i, (name, _) in enumerate(places) if name == part]
            rows = [places[i][1] for i in mine]
            found = self.lists[f"{part}_rows"][rows, :k].astype(np.int64)  # [n, depth]
            width = found.shape[1]
            values = self.lists[f"{part}_scores"][rows, :k].astype(np.float32)
            items[mine, :width] = np.where(np.isneginf(values), "", self.items[found])
            scores[mine, :width] = values
        return items, scores


class MadeOnce:
    """A ranker that is asked once for histories it is asked about again; its lists have at most DEPTH items.

    Args:
        ranker: Makes them.
        name: Name in reports.
    """

    def __init__(self, ranker: Ranker, name: str) -> None:
        self.ranker = ranker
        self.name = name
        self.known: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The first k of each list; shorter where fewer were made."""
        missing = [tuple(history) for history in histories if tuple(history) not in self.known]
        if missing:
            made = self.ranker.rank(missing, DEPTH)
            self.known |= dict(zip(missing, zip(*made, strict=True), strict=True))
        found = np.full((len(histories), k), "", dtype=object)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        for i, history in enumerate(histories):
            items, values = self.known[tuple(history)]
            found[i, : len(items[:k])], scores[i, : len(items[:k])] = items[:k], values[:k]
        return found, scores


def saved(name: str, make: Callable[[], Ranker], split: Split, ids: list[str], folder: Path) -> SavedLists:
    """A ranker's lists, made once and kept."""
    path = folder / f"lists-{name}.npz"
    if not path.exists():
        ranker, lists = make(), {}
        row_of = {item: row for row, item in enumerate(ids)} | {"": len(ids)}
        for part in ("validation", "test"):
            items, scores = ranker.rank(getattr(split, part).histories, 100)
            lists[f"{part}_rows"] = np.array([[row_of[item] for item in row] for row in items], np.uint16)
            lists[f"{part}_scores"] = scores
        np.savez_compressed(path, **lists)
    return SavedLists(name, split, ids, dict(np.load(path)))
