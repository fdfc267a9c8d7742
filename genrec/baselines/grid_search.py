"""The best of a few settings by NDCG@10 on validation cases; all that was tried is logged and can be kept.

Does not know which ranker is tuned, nor the test cases.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm.auto import tqdm

from genrec.artifacts import atomic_write_text
from genrec.data import Cases
from genrec.errors import DataError
from genrec.ranking import Ranker

logger = logging.getLogger(__name__)

CUT_OFF = 10

R = TypeVar("R", bound=Ranker)
Setting = dict[str, Any]


class GridSearch:
    """Tries settings of one ranker on the same validation cases.

    Args:
        validation: Cases that are neither trained on nor reported.
        max_cases: A larger set is sampled (seed 0).
        log_file: JSON lines of all that was tried, one object a setting, written anew after each; None =
            none.

    Attributes:
        best: The best setting so far; of equal values the first one tried.
        value: Its NDCG@10, -1 before any.

    Raises:
        DataError: No validation case.
    """

    def __init__(
        self, validation: Cases, *, max_cases: int = 10_000, log_file: str | Path | None = None
    ) -> None:
        if not len(validation):
            raise DataError(
                "there is no validation case to choose parameters by",
                remedy="split the log so that validation cases remain, or use the defaults without tuning",
            )
        self.cases = validation.sample(max_cases) if len(validation) > max_cases else validation
        self.log_file = None if log_file is None else Path(log_file)
        self.best: Setting = {}
        self.value = -1.0
        self._tried: list[str] = []

    def over(self, make: Callable[[Setting], Ranker], grid: Sequence[Setting]) -> Setting:
        """Tries every setting of a grid; returns the best of all that this search has tried so far."""
        for setting in tqdm(grid, desc="tuning", unit="setting", disable=None):
            ranker = make(setting)
            value = mean_ndcg(ranker, self.cases)
            logger.debug("%s with %s: validation ndcg@%d %.4f", ranker.name, shown(setting), CUT_OFF, value)
            self._keep(ranker.name, setting, value)
            if value > self.value:
                self.best, self.value = setting, value
        return self.best

    def chosen(self, make: Callable[[Setting], R]) -> R:
        """The ranker of the best setting."""
        ranker = make(self.best)
        logger.info(
            "%s is used with %s: validation ndcg@%d %.4f", ranker.name, shown(self.best), CUT_OFF, self.value
        )
        return ranker

    def _keep(self, name: str, setting: Setting, value: float) -> None:
        if self.log_file is None:
            return
        row = {"ranker": name, **setting, f"ndcg@{CUT_OFF}": round(value, 6), "cases": len(self.cases)}
        self._tried.append(json.dumps(row))
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self.log_file, "\n".join(self._tried) + "\n")


def mean_ndcg(ranker: Ranker, cases: Cases, k: int = CUT_OFF) -> float:
    """NDCG@k of one target a case: `1 / log2(1 + place)` where it is among the first k, 0 where not."""
    items, _ = ranker.rank(cases.histories, k)
    hits = items == np.array(cases.targets, dtype=object)[:, None]  # [cases, k]
    place = hits.argmax(axis=1)
    return float(np.where(hits.any(axis=1), 1 / np.log2(2 + place), 0.0).mean())


def shown(setting: Mapping[str, Any]) -> str:
    """A setting for people: `decay 0.4, power 8`."""
    texts = ((key, f"{value:g}" if isinstance(value, float) else value) for key, value in setting.items())
    return ", ".join(f"{key} {text}" for key, text in texts)
