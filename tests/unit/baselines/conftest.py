"""A small log that the baselines' tests share."""

from __future__ import annotations

import numpy as np
import pytest

from genrec.data import InteractionLog
from genrec.embeddings import EmbeddingTable


def make_log(histories: list[list[str]]) -> InteractionLog:
    rows = [
        {"user_id": f"u{user}", "item_id": item, "timestamp": time}
        for user, history in enumerate(histories)
        for time, item in enumerate(history)
    ]
    return InteractionLog.from_rows(rows)


@pytest.fixture(scope="session")
def item_ids() -> list[str]:
    return [f"item-{i}" for i in range(40)]


@pytest.fixture(scope="session")
def train_histories(item_ids: list[str]) -> list[list[str]]:
    """60 users with tastes that drift through neighbouring items, so that there is something to find."""
    generator = np.random.default_rng(0)
    histories = []
    for _ in range(60):
        start, length = int(generator.integers(40)), int(generator.integers(3, 12))
        steps = generator.integers(-2, 4, size=length).cumsum()
        histories.append([item_ids[(start + int(step)) % 40] for step in steps])
    return histories


@pytest.fixture(scope="session")
def train(train_histories: list[list[str]]) -> InteractionLog:
    return make_log(train_histories)


@pytest.fixture(scope="session")
def vectors(item_ids: list[str]) -> EmbeddingTable:
    values = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32)
    values[7] = values[3]  # two items of the same content
    values[9] = 0  # one without content
    return EmbeddingTable(item_ids, values)


@pytest.fixture(scope="session")
def queries(item_ids: list[str]) -> list[list[str]]:
    """Eight histories: empty, unknown items only, repeats, one item, long ones."""
    generator = np.random.default_rng(2)
    drawn = [[item_ids[i] for i in generator.integers(40, size=length)] for length in (1, 3, 5, 8, 30)]
    return [[], ["gone"], [item_ids[4], "gone", item_ids[4], item_ids[5]], *drawn]
