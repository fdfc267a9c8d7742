"""Reviews of the synthetic world: they change nothing else, follow the taste, and say what holds."""

from __future__ import annotations

import re

import numpy as np
import pytest

from genrec.data import SyntheticWorld

TEXTS = ("summary", "review", "explanation")


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return SyntheticWorld.generate(seed=2, num_items=300, num_users=1500)


def test_items_purchases_and_tastes_are_the_same_without_them(world: SyntheticWorld) -> None:
    bare = SyntheticWorld.generate(seed=2, num_items=300, num_users=1500, reviews=False)
    names = bare.interactions.table.column_names
    assert names == ["user_id", "item_id", "timestamp"]
    assert world.interactions.table.column_names == [*names, "rating", *TEXTS]
    assert world.interactions.table.select(names).equals(bare.interactions.table)
    assert world.items.fingerprint() == bare.items.fingerprint()
    assert (world.tastes == bare.tastes).all()


def test_the_same_arguments_give_the_same_reviews(world: SyntheticWorld) -> None:
    again = SyntheticWorld.generate(seed=2, num_items=300, num_users=1500)
    other = SyntheticWorld.generate(seed=3, num_items=300, num_users=1500)
    assert world.interactions.fingerprint() == again.interactions.fingerprint()
    assert world.interactions.fingerprint() != other.interactions.fingerprint()


def test_stars_follow_taste_and_old_acquaintance(world: SyntheticWorld) -> None:
    log, catalog = world.interactions, world.process.catalog
    stars = log.table.column("rating").to_numpy()
    assert set(stars.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert 3.5 < stars.mean() < 4.5
    number = dict(zip(world.items.item_ids, world.item_numbers.tolist(), strict=True))
    items = np.array([number[item] for item in log.item_ids])[log.items]
    band, fit = np.divmod(world.tastes[log.users], 4)
    assert stars[fit == catalog.item_fit[items]].mean() > stars[fit != catalog.item_fit[items]].mean() + 0.4
    far = np.abs(band - catalog.item_band[items])
    means = [stars[far == distance].mean() for distance in range(3)]
    assert means == sorted(means, reverse=True)


def test_reviews_say_their_reason_and_name_the_item_s_own_brand_and_kind(world: SyntheticWorld) -> None:
    brands = {brand for brand in world.items.table.column("brand").to_pylist()}
    named = 0
    for row in world.interactions.table.slice(0, 3000).to_pylist():
        item = world.items.row(row["item_id"])
        assert row["review"].endswith(" " + row["explanation"])
        for text in (row[name] for name in TEXTS):
            assert not re.search(r"[{}\[\]<>_|]|  ", text), text
            assert text[0].isupper()
            spoken = {brand for brand in brands if re.search(rf"\b{brand}\b", text)}
            assert item["brand"] in spoken or not spoken
            named += bool(spoken)
    assert named > 300


def test_who_says_to_know_a_brand_has_bought_it(world: SyntheticWorld) -> None:
    seen: set[tuple[str, str]] = set()
    known, new = 0, 0
    for row in world.interactions.table.to_pylist():
        key = row["user_id"], world.items.row(row["item_id"])["brand"]
        if re.search(r"not let me down before|came back for more|the rest I own", row["explanation"]):
            known += 1
            assert key in seen
        if re.search(r"first thing I have|did not know|am new to", row["explanation"]):
            new += 1
            assert key not in seen
        seen.add(key)
    assert min(known, new) > 100


def test_words_go_with_the_stars(world: SyntheticWorld) -> None:
    stars: dict[str, set[float]] = {}
    for row in world.interactions.table.to_pylist():
        opener = row["review"].removesuffix(" " + row["explanation"])
        stars.setdefault(opener, set()).add(row["rating"])
    assert len(stars) == 15
    assert all(len(found) == 1 for found in stars.values())
