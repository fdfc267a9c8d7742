"""`LogLinearMixture`: a hybrid that multiplies probabilities, exponents fitted on validation cases.

Does not know how the lists were made, nor the test cases.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genrec.artifacts import atomic_write_text
from genrec.baselines.hybrid import Part, checked_parts, probabilities, rows_of
from genrec.baselines.ranked_lists import empty_lists
from genrec.data import Cases, canonical_order
from genrec.errors import DataError

logger = logging.getLogger(__name__)

BLOCK = 1024  # histories put together at once
MOST_REPEAT = 10.0  # bound of the factor of repeats, a logarithm


class LogLinearMixture:
    """Ranks by `sum_j weight_j * log(floor + p_j(item))` over the items that any part names.

    An item of the history itself gets `repeat` on top: neighbours like what they already know, and whether
    anybody takes it twice is a matter of the data. A logarithmic opinion pool (Genest and Zidek 1986, section
    3.3): where a sum of probabilities lets one sure part carry an item to the top alone, a product asks the
    others too. An item that a part's list lacks has probability 0 there, so `floor` says how much that
    counts.

    Args:
        parts: The rankers with their exponents; a part of weight 0 is not asked.
        floor: Added to every probability.
        repeat: Added to the score of an item that the history holds; negative where nothing is bought twice.
        depth: Items asked of each part; None = twice as many as asked for, at least 100.
        name: Name in reports.

    Raises:
        DataError: No part, or a floor that is not positive.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        floor: float = 1e-3,
        repeat: float = 0.0,
        depth: int | None = None,
        name: str = "log-linear mixture",
    ) -> None:
        if not floor > 0:
            raise DataError("the floor of probabilities is not positive", received=floor, remedy="give 1e-3")
        self.parts = checked_parts(parts)
        self.floor = floor
        self.repeat = repeat
        self.depth = depth
        self.name = name

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks what the parts found; equal scores in canonical order.

        Args:
            histories: Item ids, oldest first.
            k: Items a history.

        Returns:
            Items, object `[n, k]`, and scores, float32 `[n, k]`; `""` and minus infinity where the parts
            found fewer.
        """
        parts = [part for part in self.parts if part.weight > 0] or list(self.parts)
        weights = np.array([part.weight for part in parts])
        items, scores = empty_lists(len(histories), k)
        depth = max(k, self.depth or max(100, 2 * k))
        names, rows, values = asked(parts, histories, depth)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            candidates, logs = pooled(rows[block], values[block], self.floor)
            sums = logs @ weights + self.repeat * repeated(candidates, names, histories[block])
            sums = np.where(candidates > 0, sums, -np.inf)  # [block, candidates]
            order = np.argsort(-sums, axis=1, kind="stable")[:, :k]
            width = order.shape[1]
            best = np.take_along_axis(sums, order, axis=1)
            chosen = names[np.take_along_axis(candidates, order, axis=1)]
            items[block, :width] = np.where(np.isneginf(best), "", chosen)
            scores[block, :width] = best
        return items, scores


def asked(
    parts: Sequence[Part], histories: Sequence[Sequence[str]], depth: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parts' lists side by side.

    Returns:
        Names, object `[items + 1]`, "" first and the others in canonical order; rows of them, int64
        `[n, parts, depth]`, 0 = nothing; probabilities float64 of the same shape.
    """
    lists = [part.ranker.rank(histories, depth) for part in parts]
    every = {item for found, _ in lists for item in found.ravel().tolist() if item}
    names = np.array(["", *canonical_order(every)], dtype=object)
    row_of = {item: row for row, item in enumerate(names)}
    rows = np.stack([rows_of(found, row_of) for found, _ in lists], axis=1)
    values = [probabilities(scores, part.scale) for part, (_, scores) in zip(parts, lists, strict=True)]
    return names, rows, np.stack(values, axis=1)


def pooled(rows: np.ndarray, values: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Every named item once, with what each part says of it.

    Args:
        rows: int64 `[n, parts, depth]`, 0 = nothing.
        values: float `[n, parts, depth]`, probabilities.
        floor: Added to each.

    Returns:
        Candidates, int64 `[n, c]`, ascending, 0 = nothing (on the left), and logarithms, float64
        `[n, c, parts]`.
    """
    n, parts, depth = rows.shape
    flat = rows.reshape(n, parts * depth)
    order = np.argsort(flat, axis=1, kind="stable")  # [n, parts * depth]
    ordered = np.take_along_axis(flat, order, axis=1)
    new = np.ones_like(ordered, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place = np.cumsum(new, axis=1) - 1  # [n, parts * depth]: candidate of each entry
    width = int(place.max(initial=0)) + 1
    line = np.arange(n)[:, None]
    candidates = np.zeros((n, width), dtype=np.int64)
    candidates[line, place] = ordered
    logs = np.full((n, width, parts), floor)
    np.add.at(logs, (line, place, order // depth), np.take_along_axis(values.reshape(n, -1), order, axis=1))
    return candidates, np.log(logs)


def repeated(candidates: np.ndarray, names: np.ndarray, histories: Sequence[Sequence[str]]) -> np.ndarray:
    """Which candidates the history holds: bool `[n, c]`, for rows of `names` as `pooled` gives them."""
    row_of = {item: row for row, item in enumerate(names)}
    known = [
        line * len(names) + row_of[item]
        for line, history in enumerate(histories)
        for item in history
        if item in row_of
    ]
    found: np.ndarray = np.isin(candidates + len(names) * np.arange(len(candidates))[:, None], known)
    return found


def fit_log_linear(
    parts: Sequence[Part],
    validation: Cases,
    *,
    floors: Sequence[float] = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    depth: int = 100,
    max_cases: int = 10_000,
    log_file: str | Path | None = None,
    name: str = "log-linear mixture",
) -> LogLinearMixture:
    """The exponents under which the validation targets are most likely among the items named.

    The likelihood is concave, so there is one answer; exponents are not negative. Fitted with them is the
    factor of items that the history holds, between -10 and 10; where no validation target is such an item it
    ends at -10, which leaves them out of any list that has others. Cases whose target no part names teach
    nothing and are left out.

    Args:
        parts: The rankers and their scales; their weights do not matter.
        validation: Cases that are neither trained on nor reported.
        floors: Tried; the likeliest stays.
        depth: Items asked of each part.
        max_cases: A larger validation set is sampled (seed 0).
        log_file: Where all that was tried is kept, as JSON lines.
        name: Name in reports.

    Raises:
        DataError: No part, or no case whose target is named.
    """
    from scipy.optimize import minimize

    parts = checked_parts(parts)
    cases = validation.sample(max_cases) if len(validation) > max_cases else validation
    names, rows, values = asked(parts, cases.histories, depth)
    row_of = {item: row for row, item in enumerate(names)}
    targets = np.array([row_of.get(item, -1) for item in cases.targets])
    hit = (rows == targets[:, None, None]).any(axis=(1, 2))
    if not hit.any():
        raise DataError(
            "no part of the hybrid names a validation target",
            received=f"{len(cases)} cases",
            remedy="check that the rankers know the catalog, or ask for longer lists (depth)",
        )
    known = [history for history, there in zip(cases.histories, hit, strict=True) if there]
    tried, best = [], (np.inf, np.zeros(len(parts) + 1), floors[0])
    for floor in floors:
        candidates, logs = pooled(rows[hit], values[hit], floor)
        logs = np.concatenate([logs, repeated(candidates, names, known)[:, :, None]], axis=2)
        there, true = candidates > 0, candidates == targets[hit][:, None]
        wanted = logs[true]  # [cases, parts + 1]

        def loss(
            weights: np.ndarray,
            logs: np.ndarray = logs,
            there: np.ndarray = there,
            wanted: np.ndarray = wanted,
        ) -> tuple[float, np.ndarray]:
            scores = np.where(there, logs @ weights, -np.inf)  # [cases, candidates]
            top = scores.max(axis=1, keepdims=True)
            shares = np.exp(scores - top)
            total = shares.sum(axis=1, keepdims=True)
            expected = np.einsum("nc,ncp->np", shares / total, logs)
            value = (top + np.log(total)).mean() - (wanted @ weights).mean()
            return float(value), (expected - wanted).mean(axis=0)

        found = minimize(
            loss,
            np.append(np.ones(len(parts)), 0.0),
            jac=True,
            method="L-BFGS-B",
            bounds=[*[(0, None)] * len(parts), (-MOST_REPEAT, MOST_REPEAT)],
        )
        *weights, repeat = map(float, found.x)
        tried.append({"floor": floor, "loss": float(found.fun), "weights": weights, "repeat": repeat})
        if found.fun < best[0]:
            best = (float(found.fun), found.x, floor)
    if log_file is not None:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(Path(log_file), "\n".join(map(json.dumps, tried)) + "\n")
    *exponents, repeat = map(float, best[1])
    chosen = [Part(part.ranker, w, part.scale) for part, w in zip(parts, exponents, strict=True)]
    shown = ", ".join(f"{part.ranker.name} {part.weight:.3f}" for part in chosen)
    logger.info("%s: floor %g, %s, repeats %.3f", name, best[2], shown, repeat)
    return LogLinearMixture(chosen, floor=best[2], repeat=repeat, depth=depth, name=name)
