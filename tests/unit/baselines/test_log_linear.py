"""Log-linear mixtures: scores as by hand, exponents as a known maximum likelihood."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from genrec.baselines import LogLinearMixture, Part, fit_log_linear
from genrec.data import Cases
from genrec.errors import DataError

ITEMS = [f"i{number}" for number in range(6)]


class Told:
    """Probabilities of all items, told by the history's only item: row number of a table."""

    def __init__(self, table: np.ndarray, name: str = "told") -> None:
        self.table, self.name = table, name

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        items = np.full((len(histories), k), "", dtype=object)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        for i, history in enumerate(histories):
            row = self.table[int(history[0])]
            order = [column for column in np.argsort(-row, kind="stable") if row[column] > 0][:k]
            items[i, : len(order)] = [ITEMS[column] for column in order]
            scores[i, : len(order)] = np.log(row[order])
        return items, scores


def test_scores_are_those_of_the_formula_and_equal_ones_stand_in_canonical_order() -> None:
    one = Told(np.array([[0.6, 0.3, 0, 0.1, 0, 0]]))
    two = Told(np.array([[0, 0.5, 0.25, 0.25, 0, 0]]))
    items, scores = LogLinearMixture([Part(one, 1.0), Part(two, 2.0)], floor=0.01).rank([["0"]], 5)
    expected = {
        "i0": np.log(0.61) + 2 * np.log(0.01),
        "i1": np.log(0.31) + 2 * np.log(0.51),
        "i2": np.log(0.01) + 2 * np.log(0.26),
        "i3": np.log(0.11) + 2 * np.log(0.26),
    }
    assert items[0].tolist() == ["i1", "i3", "i2", "i0", ""]
    assert scores[0, :4].tolist() == pytest.approx([expected[item] for item in items[0, :4]], rel=1e-5)
    assert np.isneginf(scores[0, 4])


def test_an_item_of_the_history_gets_the_factor_of_repeats() -> None:
    table = Told(np.array([[0.6, 0.3, 0, 0.1, 0, 0]]))
    histories = [["0", "i0", "i3"], ["0"], ["0", "i1", "elsewhere"]]
    items, scores = LogLinearMixture([Part(table)], floor=0.01, repeat=-2.0).rank(histories, 3)
    assert items.tolist() == [["i1", "i0", "i3"], ["i0", "i1", "i3"], ["i0", "i3", "i1"]]
    assert scores[0].tolist() == pytest.approx([np.log(0.31), np.log(0.61) - 2, np.log(0.11) - 2])


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_factor_of_repeats_is_what_validation_says(share: float) -> None:
    rng = np.random.default_rng(2)
    table = rng.dirichlet(np.ones(6), size=2000)
    known = rng.integers(6, size=2000)
    targets = []
    for row, item in zip(table, known, strict=True):
        weights = row * np.where(np.arange(6) == item, share, 1.0)
        targets.append(ITEMS[rng.choice(6, p=weights / weights.sum())])
    histories = [[str(i), ITEMS[item]] for i, item in enumerate(known)]
    cases = Cases([f"u{i}" for i in range(2000)], histories, targets)
    fitted = fit_log_linear([Part(Told(table))], cases, floors=(1e-4,))
    assert fitted.repeat == pytest.approx(np.log(share) if share else -10.0, abs=0.25)


def test_a_list_depends_on_its_own_history_alone() -> None:
    rng = np.random.default_rng(0)
    parts = [Part(Told(rng.dirichlet(np.ones(6), size=9)), weight) for weight in (0.5, 1.5)]
    mixture = LogLinearMixture(parts)
    histories = [[str(number)] for number in range(9)]
    items, scores = mixture.rank(histories, 4)
    for i, history in enumerate(histories):
        alone = mixture.rank([history], 4)
        assert alone[0][0].tolist() == items[i].tolist()
        assert alone[1][0] == pytest.approx(scores[i])


def test_the_exponents_that_made_the_targets_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tables = rng.dirichlet(np.ones(6), size=(3, 4000))
    joint = np.exp(0.5 * np.log(tables[0] + 1e-3) + 1.5 * np.log(tables[1] + 1e-3))  # the third says nothing
    joint /= joint.sum(axis=1, keepdims=True)
    targets = [ITEMS[rng.choice(6, p=row)] for row in joint]
    cases = Cases([f"u{i}" for i in range(4000)], [[str(i)] for i in range(4000)], targets)
    log_file = tmp_path / "logs" / "fit.jsonl"
    parts = [Part(Told(table)) for table in tables]
    fitted = fit_log_linear(parts, cases, floors=(1e-3, 0.5), log_file=log_file)
    assert fitted.floor == 1e-3
    assert [part.weight for part in fitted.parts] == pytest.approx([0.5, 1.5, 0.0], abs=0.12)
    assert [json.loads(line)["floor"] for line in log_file.read_text().splitlines()] == [1e-3, 0.5]


def test_what_cannot_be_mixed_is_refused() -> None:
    part = Part(Told(np.array([[1.0, 0, 0, 0, 0, 0]])))
    with pytest.raises(DataError, match="needs a ranker"):
        LogLinearMixture([])
    with pytest.raises(DataError, match="floor"):
        LogLinearMixture([part], floor=0)
    with pytest.raises(DataError, match="no part of the hybrid names"):
        fit_log_linear([part], Cases(["u"], [["0"]], ["i5"]))
