"""`Cases`: samples and fingerprints that do not depend on the order of the cases."""

from __future__ import annotations

import random

import pytest

from genrec.data import Cases
from genrec.errors import DataError


@pytest.fixture
def cases() -> Cases:
    users = tuple(f"u{n}" for n in range(40))
    histories = tuple(tuple(f"i{n + k}" for k in range(n % 4)) for n in range(40))
    return Cases(users, histories, tuple(f"t{n % 7}" for n in range(40)))


def test_lists_become_tuples_and_lengths_must_agree() -> None:
    cases = Cases(["u"], [["a", "b"]], ["c"])  # type: ignore[arg-type]
    assert (cases.user_ids, cases.histories, cases.targets) == (("u",), (("a", "b"),), ("c",))
    assert len(cases) == 1
    with pytest.raises(DataError, match="a case needs") as caught:
        Cases(("u",), (("a",), ("b",)), ("c",))
    assert caught.value.received == "1 users, 2 histories, 1 targets"


def test_subset(cases: Cases) -> None:
    part = cases.subset([3, 1])
    assert part.user_ids == ("u3", "u1")
    assert part.histories == (cases.histories[3], cases.histories[1])
    assert part.targets == ("t3", "t1")
    assert len(cases.subset([])) == 0


def test_sample_depends_on_the_seed_and_not_on_the_order(cases: Cases) -> None:
    order = random.Random(3).sample(range(40), k=40)
    chosen = cases.sample(10, seed=1)
    assert len(chosen) == 10
    assert set(cases.subset(order).sample(10, seed=1).user_ids) == set(chosen.user_ids)
    assert set(cases.sample(10, seed=2).user_ids) != set(chosen.user_ids)
    assert [int(user[1:]) for user in chosen.user_ids] == sorted(int(user[1:]) for user in chosen.user_ids)
    assert set(chosen.user_ids) < set(cases.sample(20, seed=1).user_ids)
    assert cases.sample(100) == cases
    with pytest.raises(DataError, match="at least one case"):
        cases.sample(0)


def test_fingerprint_forgets_the_order_of_cases_only(cases: Cases) -> None:
    expected = cases.fingerprint()
    assert cases.subset(reversed(range(40))).fingerprint() == expected
    assert cases.subset(range(39)).fingerprint() != expected
    assert cases.subset([*range(40), 0]).fingerprint() != expected
    for changed in (
        Cases(("x", *cases.user_ids[1:]), cases.histories, cases.targets),
        Cases(cases.user_ids, (("x",), *cases.histories[1:]), cases.targets),
        Cases(cases.user_ids, cases.histories, ("x", *cases.targets[1:])),
        Cases(cases.user_ids, tuple(history[::-1] for history in cases.histories), cases.targets),
    ):
        assert changed.fingerprint() != expected
