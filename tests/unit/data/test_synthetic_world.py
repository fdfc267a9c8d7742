"""The synthetic world: repeatable, like Amazon Beauty in its counts, honest about the best there can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genrec.baselines import ItemKNN, MarkovKNN, Popularity
from genrec.data import InteractionLog, SyntheticWorld
from genrec.data.synthetic_world import log_statistics
from genrec.errors import ConfigError, DataError
from genrec.ranking import Ranker

# Amazon Beauty 2014, 5-core; and how far the world may be from it.
BEAUTY = {
    "length_min": (5, 0),
    "length_mean": (8.876, 0.5),
    "length_median": (6, 1),
    "length_p90": (14, 1.5),
    "length_p99": (43, 10),
    "share_of_repeats": (0.0, 0.0),
    "popularity_gini": (0.499, 0.04),
    "share_of_top_1_percent": (0.105, 0.04),
    "share_of_top_10_percent": (0.428, 0.07),
    "share_of_rare_items": (0.180, 0.05),
}
BEAUTY_SAME_CATEGORY = (0.106, 0.03)  # of an item and the next: the same leaf of the category tree


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return SyntheticWorld.generate(seed=0)


@pytest.fixture(scope="module")
def small() -> SyntheticWorld:
    return SyntheticWorld.generate(seed=3, num_items=120, num_users=200)


def recall(items: np.ndarray, targets: tuple[str, ...]) -> float:
    return float((items == np.array(targets, dtype=object)[:, None]).any(axis=1).mean())


def same_category(log: InteractionLog, categories: dict[str, list[str]]) -> float:
    histories = log.histories()
    leaf = np.array([hash(tuple(categories[item])) for item in histories.item_ids])[histories.items]
    inside = np.ones(len(leaf) - 1, dtype=bool)
    inside[histories.offsets[1:-1] - 1] = False
    return float((leaf[1:] == leaf[:-1])[inside].mean())


def test_counts_of_beauty_are_as_stated(shared_data: Path) -> None:
    log = InteractionLog.read(shared_data / "amazon_beauty" / "interactions.csv.gz")
    counted = log_statistics(log, 12_101)
    for name, (value, _) in BEAUTY.items():
        assert counted[name] == pytest.approx(value, abs=6e-4), name


@pytest.mark.parametrize(
    ("seed", "num_items", "num_users"),
    [(0, 1000, 3000), (1, 1000, 3000), (2, 1000, 3000), (0, 1000, 1850), (0, 5000, 9250)],
)
def test_counts_are_near_those_of_beauty(seed: int, num_items: int, num_users: int) -> None:
    world = SyntheticWorld.generate(seed=seed, num_items=num_items, num_users=num_users)
    counted = log_statistics(world.interactions, num_items)
    assert counted["users"] == num_users
    assert counted["interactions"] == len(world.interactions)
    for name, (value, tolerance) in BEAUTY.items():
        assert abs(counted[name] - value) <= tolerance, name
    table = world.items.table
    leaves = dict(zip(world.items.item_ids, table.column("categories").to_pylist(), strict=True))
    value, tolerance = BEAUTY_SAME_CATEGORY
    assert abs(same_category(world.interactions, leaves) - value) <= tolerance


def test_items_and_interactions_have_the_columns_of_a_shop(small: SyntheticWorld) -> None:
    assert small.items.columns == ("item_id", "title", "brand", "categories", "description", "price")
    assert small.items.item_ids == [f"w{number:04d}" for number in range(1, 121)]
    assert small.interactions.user_ids == [f"u{number:05d}" for number in range(1, 201)]
    assert len(small.tastes) == 200
    assert all(item in small.items for item in small.interactions.item_ids)


def test_times_are_absolute_and_rise(small: SyntheticWorld) -> None:
    log = small.interactions
    assert log.time_kind == "absolute"
    times = log.table.column("timestamp").to_numpy()
    steps = np.diff(times)
    steps = np.delete(steps, log.histories().offsets[1:-1] - 1)
    assert steps.min() >= 1
    assert times.min() >= 1_577_836_800
    assert times.max() < 1_577_836_800 + 4 * 365 * 86_400
    split = log.time_split(validation_share=0.1, test_share=0.1)
    assert len(split.validation) > 0
    assert len(split.test) > 0


def test_same_seed_gives_the_same_bytes_in_any_process() -> None:
    script = """
import hashlib
from genrec.data import SyntheticWorld
world = SyntheticWorld.generate(seed=5, num_items=130, num_users=90)
chances = world.next_item_probabilities(world.interactions.history("u00007"))
print(world.items.fingerprint(), world.interactions.fingerprint())
print(hashlib.sha256(chances.tobytes()).hexdigest())
print(hashlib.sha256(repr(world.items.table.to_pylist()).encode()).hexdigest())
"""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 200


def test_another_seed_gives_another_world(small: SyntheticWorld) -> None:
    other = SyntheticWorld.generate(seed=4, num_items=120, num_users=200)
    assert other.items.fingerprint() != small.items.fingerprint()
    assert other.interactions.fingerprint() != small.interactions.fingerprint()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_and_ids_tell_nothing(seed: int) -> None:
    world = SyntheticWorld.generate(seed=seed)
    cases = world.interactions.leave_one_out().test
    row = {item: number for number, item in enumerate(world.items.item_ids)}
    last = np.array([row[history[-1]] for history in cases.histories])
    target = np.array([row[item] for item in cases.targets])
    for distance in (abs(target - last), target - last, last - target):
        hits = ((distance > 0) & (distance <= 10)).mean()
        chance = 20 / 1000 if distance.min() > 0 else 10 / 1000
        assert hits < chance + 4 * np.sqrt(chance / len(target))
    counts = np.zeros(1000)
    np.add.at(counts, target, 1)
    assert abs(np.corrcoef(np.arange(1000), counts)[0, 1]) < 0.13
    assert abs(np.corrcoef(np.arange(1000), world.process.catalog.item_type[world.item_numbers])[0, 1]) < 0.13


def test_probabilities_are_in_the_order_of_the_item_table(small: SyntheticWorld) -> None:
    history = small.interactions.history("u00003")
    chances = small.next_item_probabilities(history)
    assert chances.shape == (120,)
    assert chances.dtype == np.float64
    assert chances.sum() == pytest.approx(1, abs=1e-12)
    owned = [small.items.item_ids.index(item) for item in history]
    assert (chances[owned] == 0).all()
    assert np.count_nonzero(chances) == 120 - len(history)
    need = small.process.catalog.next_type[small.process.catalog.item_type[small.item_numbers[owned[-1]]]]
    of_need = small.process.catalog.item_type[small.item_numbers] == need
    assert chances[of_need].mean() > 2 * chances[~of_need].mean()


def test_an_item_of_elsewhere_is_an_error(small: SyntheticWorld) -> None:
    with pytest.raises(DataError, match="not in this world") as caught:
        small.next_item_probabilities(["w0001", "B000"])
    assert "'B000'" in str(caught.value)


def test_oracle_lists_by_probability(small: SyntheticWorld) -> None:
    histories = [small.interactions.history("u00001"), [], small.interactions.history("u00002")[:1]]
    items, scores = small.oracle().rank(histories, 7)
    assert items.shape == scores.shape == (3, 7)
    assert scores.dtype == np.float32
    for history, row, values in zip(histories, items, scores, strict=True):
        chances = dict(zip(small.items.item_ids, small.next_item_probabilities(history), strict=True))
        assert values.tolist() == sorted(values.tolist(), reverse=True)
        np.testing.assert_allclose(values, [chances[item] for item in row], rtol=1e-6)
        assert min(chances[item] for item in row) >= sorted(chances.values())[-7]


def test_oracle_lists_no_more_than_can_come(small: SyntheticWorld) -> None:
    history = small.interactions.history("u00001")
    items, scores = small.oracle().rank([history, ["nowhere", *history]], 130)
    left = 120 - len(history)
    assert set(items[0, :left]) == set(small.items.item_ids) - set(history)
    assert (items[0, left:] == "").all()
    assert np.isneginf(scores[0, left:]).all()
    np.testing.assert_array_equal(items[0], items[1])  # an unknown id is left out
    assert small.oracle().name == "oracle"
    empty, _ = small.oracle().rank([], 5)
    assert empty.shape == (0, 5)


def attribute_heuristic(world: SyntheticWorld, split_train: InteractionLog, histories: tuple) -> np.ndarray:
    """Ten items by type after type as counted in training, popularity, and the history's brands and fits."""
    catalog, numbers = world.process.catalog, dict(zip(world.items.item_ids, world.item_numbers, strict=True))
    train = split_train.histories()
    items = np.array([numbers[item] for item in train.item_ids])[train.items]
    kinds = catalog.item_type[items]
    inside = np.ones(len(items) - 1, dtype=bool)
    inside[train.offsets[1:-1] - 1] = False
    counts = np.full((len(catalog.next_type),) * 2, 0.01)
    np.add.at(counts, (kinds[:-1][inside], kinds[1:][inside]), 1)
    counts /= counts.sum(axis=1, keepdims=True)
    popular = np.bincount(items, minlength=len(numbers)) + 0.1
    popular = popular / np.bincount(catalog.item_type, popular)[catalog.item_type]
    names = np.empty(len(numbers), dtype=object)
    names[world.item_numbers] = world.items.item_ids
    lists = []
    for history in histories:
        past = np.array([numbers[item] for item in history])
        brands = np.bincount(catalog.item_brand[past], minlength=catalog.num_brands)[catalog.item_brand]
        fits = np.bincount(catalog.item_fit[past], minlength=4)[catalog.item_fit]
        score = (
            counts[catalog.item_type[past[-1]]][catalog.item_type] * popular * (1 + 3 * brands) * (2 + fits)
        )
        score[past] = 0
        lists.append(names[np.argsort(-score)[:10]])
    return np.array(lists)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nothing_simple_comes_near_the_oracle(seed: int) -> None:
    world = SyntheticWorld.generate(seed=seed)
    split = world.interactions.leave_one_out()
    cases = split.test
    best = recall(world.oracle().rank(cases.histories, 10)[0], cases.targets)
    assert 0.45 < best < 0.6
    rankers: list[Ranker] = [
        Popularity(split.train, world.items.item_ids),
        MarkovKNN(split.train, world.items.item_ids),
        ItemKNN(split.train, world.items.item_ids),
    ]
    for ranker in rankers:
        assert recall(ranker.rank(cases.histories, 10)[0], cases.targets) < 0.5 * best, ranker.name
    # with the true attributes in hand, but from the last item's type only
    first_order = recall(attribute_heuristic(world, split.train, cases.histories), cases.targets)
    assert 0.4 * best < first_order < 0.8 * best


def test_oracle_needs_more_than_the_last_item(world: SyntheticWorld) -> None:
    cases = world.interactions.leave_one_out().test
    oracle = world.oracle()
    whole = recall(oracle.rank(cases.histories, 10)[0], cases.targets)
    recent = recall(oracle.rank([history[-2:] for history in cases.histories], 10)[0], cases.targets)
    last = recall(oracle.rank([history[-1:] for history in cases.histories], 10)[0], cases.targets)
    assert last < 0.75 * whole
    assert last + 0.03 < recent < whole - 0.03


def test_facts_state_the_floor(world: SyntheticWorld) -> None:
    facts = world.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert 4.0 < facts["entropy_floor_nats"] < 4.8
    cases = world.interactions.leave_one_out().test
    hits = recall(world.oracle().rank(cases.histories, 10)[0], cases.targets)
    assert facts["oracle_recall@10"] == pytest.approx(hits, abs=0.04)


@pytest.mark.parametrize("num_items", [50, 51, 159, 777, 5000])
def test_sizes(num_items: int) -> None:
    world = SyntheticWorld.generate(seed=1, num_items=num_items, num_users=40)
    assert len(world.items) == num_items
    lengths = np.diff(world.interactions.histories().offsets)
    assert lengths.min() >= 5
    assert lengths.max() <= num_items // 4
    items, _ = world.oracle().rank([world.interactions.history("u00001")], 10)
    assert all(item in world.items for item in items[0])
    assert len(SyntheticWorld.generate(num_items=num_items, num_users=1).interactions) >= 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_items", 49),
        ("num_items", 100_001),
        ("num_items", 100.0),
        ("num_users", 0),
        ("num_users", True),
        ("seed", -1),
        ("seed", "0"),
    ],
)
def test_a_bad_size_is_an_error(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} of a synthetic world is out of range") as caught:
        SyntheticWorld.generate(**{name: value})  # type: ignore[arg-type]
    assert "give a whole number from" in str(caught.value)
