"""Vectors from interactions, and several tables as one: alike where users say so, in any order of rows."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from genrec.data import Cases, InteractionLog
from genrec.embeddings import EmbeddingTable, als_vectors, fused, item2vec, learned_weights, whitened
from genrec.errors import ConfigError, DataError

IDS = [f"i{n}" for n in range(24)]


def rows_of(users: int = 60, seed: int = 0) -> list[dict[str, Any]]:
    """Users keep to one half of the first twenty items."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        chosen = rng.choice(np.arange(user % 2, 20, 2), size=6, replace=False)
        rows += [{"user_id": f"u{user}", "item_id": f"i{n}", "timestamp": t} for t, n in enumerate(chosen)]
    return rows


LOG = InteractionLog.from_rows(rows_of())


def cosines(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    return np.asarray(unit @ unit.T)


def same_half(table: EmbeddingTable) -> float:
    """Share of items whose nearest neighbour is of their half."""
    names = [f"i{n}" for n in range(20)]
    likeness = cosines(table.vectors_for(names))
    np.fill_diagonal(likeness, -2)
    return float((likeness.argmax(axis=1) % 2 == np.arange(20) % 2).mean())


def quick(log: InteractionLog, **more: Any) -> EmbeddingTable:
    return item2vec(log, IDS, **({"dim": 8, "epochs": 10, "batch_size": 256, "learning_rate": 0.05} | more))


def test_items_that_users_had_together_are_alike() -> None:
    assert same_half(quick(LOG)) == 1
    assert same_half(als_vectors(LOG, IDS, dim=2)) == 1


@pytest.mark.parametrize("make", [lambda log: quick(log), lambda log: als_vectors(log, IDS, dim=4)])
def test_users_in_another_order_give_the_same_vectors(make: Any) -> None:
    rows = rows_of()
    random.Random(0).shuffle(rows)
    one, two = make(LOG), make(InteractionLog.from_rows(rows))
    assert one.item_ids == two.item_ids
    np.testing.assert_array_equal(one.vectors, two.vectors)
    unseen = one.vectors_for(["i20", "i21", "i22", "i23"])
    assert not unseen.any()
    assert one.vectors_for(["i3"]).any()


def test_sides_are_the_two_halves_of_both() -> None:
    both, inward, outward = (quick(LOG, side=side) for side in ("both", "in", "out"))
    np.testing.assert_array_equal(both.vectors, np.concatenate([inward.vectors, outward.vectors], axis=1))
    assert not np.array_equal(inward.vectors, outward.vectors)


def test_what_item2vec_cannot_learn_from_is_said() -> None:
    with pytest.raises(DataError, match="near each other"):
        quick(
            InteractionLog.from_rows([{"user_id": "u", "item_id": "i1"}, {"user_id": "v", "item_id": "i2"}])
        )
    with pytest.raises(ConfigError, match="a side"):
        quick(LOG, side="left")
    with pytest.raises(ConfigError, match="one factor"):
        als_vectors(LOG, IDS, dim=0)


def tables() -> dict[str, EmbeddingTable]:
    """One that knows the halves, louder in some columns than in others, and one that knows nothing."""
    rng = np.random.default_rng(1)
    halves = np.where(np.arange(24)[:, None] % 2 == 0, 1.0, -1.0) + 0.3 * rng.normal(size=(24, 6))
    noise = 1000 * rng.normal(size=(24, 5))
    return {
        "halves": EmbeddingTable(IDS, halves.astype(np.float32)),
        "noise": EmbeddingTable(IDS, noise.astype(np.float32)),
    }


def test_no_table_is_louder_than_another_and_weights_are_of_squared_distances() -> None:
    given = tables()
    together = fused(given, IDS, dim=4)
    assert together.dim == 8
    left, right = together.vectors[:, :4], together.vectors[:, 4:]
    assert np.square(left).sum() == pytest.approx(np.square(right).sum(), rel=1e-5)
    spread = np.square(left).sum(axis=0)
    assert spread.max() == pytest.approx(spread.min(), rel=1e-4)  # whitened
    weighted = fused(given, IDS, weights={"halves": 4.0, "noise": 1.0}, dim=4)
    np.testing.assert_allclose(weighted.vectors[:, :4], 2 * left, rtol=1e-6)
    wide = whitened(given["noise"], 9)
    assert wide.dim == 9
    assert wide.vectors.any(axis=0).tolist() == [True] * 5 + [False] * 4


def test_weights_are_learned_from_what_comes_next() -> None:
    cases = LOG.leave_one_out().test
    weights = learned_weights(tables(), IDS, cases, dim=4)
    assert weights["halves"] > 3 * weights["noise"] > 0
    shuffled = Cases(cases.user_ids[::-1], cases.histories[::-1], cases.targets[::-1])
    assert learned_weights(tables(), IDS, shuffled, dim=4) == weights


def test_what_cannot_be_fused_is_said() -> None:
    with pytest.raises(ConfigError, match="a weight above 0 for each"):
        fused({}, IDS)
    for weights in ({"halves": 1.0}, {"halves": 1.0, "noise": 0.0}, {"halves": 1.0, "noise": float("nan")}):
        with pytest.raises(ConfigError, match="a weight above 0 for each"):
            fused(tables(), IDS, weights=weights)
    with pytest.raises(DataError, match="have no vector"):
        fused(tables(), [*IDS, "stranger"])
    with pytest.raises(DataError, match="next items"):
        learned_weights(tables(), ["i1"], LOG.leave_one_out().test)
