"""The synthetic process: its probabilities are those it draws by, and those its docstring tells."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.data.synthetic_catalog import make_catalog
from genrec.data.synthetic_process import IMPULSE, LOYALTY, NEED_WEIGHTS, RESTOCK, SyntheticProcess

NUM_ITEMS = 60


@pytest.fixture(scope="module")
def process() -> SyntheticProcess:
    rng = np.random.default_rng(7)
    return SyntheticProcess.draw(make_catalog(NUM_ITEMS, rng), rng)


def told(process: SyntheticProcess, history: list[int]) -> np.ndarray:
    """The probabilities as the module's docstring tells them, item by item, with nothing shared."""
    catalog = process.catalog
    kinds = range(len(catalog.next_type))

    def type_chances(past: list[int]) -> list[float]:
        left = Counter(catalog.item_type.tolist())
        left.subtract(catalog.item_type[sorted(set(past))].tolist())
        routine, again = [0.0] * len(kinds), [0.0] * len(kinds)
        if past:
            last = catalog.item_type[past[-1]]
            again[last] = 1.0
            routine[catalog.next_type[last]] += NEED_WEIGHTS[0]
            if len(past) > 1:
                need = catalog.next_type[catalog.item_type[past[-2]]]
                routine[need] += NEED_WEIGHTS[1] if need != last else 0.0
        parts = [(1 - IMPULSE - RESTOCK, routine), (RESTOCK, again), (IMPULSE, process.impulse.tolist())]
        chances = [0.0] * len(kinds)
        for share, part in parts:
            there = [part[kind] if left[kind] else 0.0 for kind in kinds]
            for kind in kinds:
                chances[kind] += share * there[kind] / sum(there) if sum(there) else 0.0
        return [chance / sum(chances) for chance in chances]

    def item_chance(item: int, past: list[int], taste: int) -> float:
        bought = Counter(catalog.item_brand[past].tolist())

        def weight(other: int) -> float:
            if other in past:
                return 0.0
            loyalty = 1 + LOYALTY * bought[catalog.item_brand[other]]
            return float(process.popularity[other] * loyalty * process.taste_weights[taste, other])

        shelf = np.flatnonzero(catalog.item_type == catalog.item_type[item]).tolist()
        return weight(item) / sum(weight(other) for other in shelf)

    tastes = process.taste_prior.copy()
    for step, item in enumerate(history):
        tastes *= [item_chance(item, history[:step], taste) for taste in range(len(tastes))]
    tastes /= tastes.sum()
    of_type = type_chances(history)
    result = np.zeros(len(catalog.item_type))
    for item, kind in enumerate(catalog.item_type):
        if of_type[kind]:
            result[item] = of_type[kind] * sum(
                share * item_chance(item, history, taste) for taste, share in enumerate(tastes)
            )
    return result


def test_probabilities_are_as_told(process: SyntheticProcess) -> None:
    items, _ = process.sample(np.array([1, 2, 5, 12]), np.random.default_rng(3))
    for history in (items[:0], items[:1], items[1:3], items[3:8], items[8:]):
        expected = told(process, history.tolist())
        np.testing.assert_allclose(process.probabilities([history])[0], expected, rtol=1e-9, atol=1e-15)


@given(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=80))
def test_any_history_has_probabilities(process: SyntheticProcess, history: list[int]) -> None:
    chances = process.probabilities([np.array(history, dtype=np.int64)])[0]
    assert (chances >= 0).all()
    assert (chances[history] == 0).all()
    assert chances.sum() == pytest.approx(1 if len(set(history)) < NUM_ITEMS else 0, abs=1e-12)


def test_last_item_left_is_certain(process: SyntheticProcess) -> None:
    everything = np.random.default_rng(0).permutation(NUM_ITEMS)
    almost, all_of_them = process.probabilities([everything[:-1], everything])
    assert almost[everything[-1]] == pytest.approx(1)
    assert not all_of_them.any()


def test_histories_of_a_batch_do_not_touch_each_other(process: SyntheticProcess) -> None:
    items, _ = process.sample(np.array([3, 11, 7]), np.random.default_rng(5))
    histories = [items[:3], items[3:3], items[3:14], items[14:]]
    together = process.probabilities(histories)
    for history, row in zip(histories, together, strict=True):
        np.testing.assert_array_equal(process.probabilities([history])[0], row)


@pytest.mark.parametrize("step", [0, 1, 2, 6, 11])
def test_sampled_items_follow_the_probabilities(process: SyntheticProcess, step: int) -> None:
    users = 4000
    items, _ = process.sample(np.full(users, step + 1), np.random.default_rng(step))
    rows = items.reshape(users, step + 1)
    chances = process.probabilities(list(rows[:, :-1]))
    drawn = rows[:, -1]
    expected, spread = chances.sum(axis=0), (chances * (1 - chances)).sum(axis=0)
    count_errors = (np.bincount(drawn, minlength=NUM_ITEMS) - expected) / np.sqrt(spread)
    assert abs(count_errors).max() < 4.5
    # the ten best hold as many of the items as they say, and the surprise is the entropy
    best = np.argsort(-chances, axis=1)[:, :10]
    mass = np.take_along_axis(chances, best, axis=1).sum(axis=1)
    hits = (best == drawn[:, None]).any(axis=1)
    assert abs((hits - mass).sum()) < 4 * np.sqrt((mass * (1 - mass)).sum())
    logs = np.log(np.maximum(chances, 1e-300))
    entropy = -(chances * logs).sum(axis=1)
    variance = (chances * logs**2).sum(axis=1) - entropy**2
    surprise = -np.log(chances[np.arange(users), drawn])
    assert abs((surprise - entropy).sum()) < 4 * np.sqrt(variance.sum())


def test_the_item_before_the_last_matters(process: SyntheticProcess) -> None:
    kinds = process.catalog.item_type
    department = process.catalog.type_department[kinds]
    last = int(np.flatnonzero(department == 0)[0])
    other = int(np.flatnonzero(department == 1)[0])
    alone, errand = process.probabilities([np.array([last]), np.array([other, last])])
    need = kinds == process.catalog.next_type[kinds[other]]
    assert errand[need].sum() > 4 * alone[need].sum()


def test_sampled_histories_hold_no_repeats(process: SyntheticProcess) -> None:
    lengths = np.random.default_rng(1).integers(1, 40, size=500)
    items, tastes = process.sample(lengths, np.random.default_rng(2))
    for history in np.split(items, np.cumsum(lengths)[:-1]):
        assert len(set(history.tolist())) == len(history)
    assert set(tastes.tolist()) == set(range(12))


def test_the_taste_shows_in_the_history(process: SyntheticProcess) -> None:
    items, tastes = process.sample(np.full(600, 14), np.random.default_rng(9))
    fits = process.catalog.item_fit[items.reshape(600, 14)]
    matches = (fits == tastes[:, None] % 4).mean()
    shuffled = (fits == np.roll(tastes, 1)[:, None] % 4).mean()
    assert matches > shuffled + 0.04
