"""Parameters chosen on validation cases, with the grid in the log."""

from __future__ import annotations

import logging
import math

import pytest

from genrec.baselines import (
    ContentKNN,
    ItemKNN,
    MarkovKNN,
    tune_content_knn,
    tune_item_knn,
    tune_markov_knn,
)
from genrec.baselines.grid_search import mean_ndcg
from genrec.data import Cases, InteractionLog
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError


@pytest.fixture(scope="module")
def validation(train_histories: list[list[str]]) -> Cases:
    users = [i for i, history in enumerate(train_histories) if len(history) > 3]
    return Cases(
        tuple(f"u{i}" for i in users),
        tuple(tuple(train_histories[i][1:-1]) for i in users),
        tuple(train_histories[i][-1] for i in users),
    )


def test_ndcg_is_that_of_the_formula(train: InteractionLog, validation: Cases, item_ids: list[str]) -> None:
    ranker = ItemKNN(train, item_ids)
    items, _ = ranker.rank(validation.histories, 10)
    total = 0.0
    for row, target in zip(items.tolist(), validation.targets, strict=True):
        total += 1 / math.log2(2 + row.index(target)) if target in row else 0.0
    assert mean_ndcg(ranker, validation) == pytest.approx(total / len(validation))
    assert 0 < total


def test_the_best_of_the_grid_is_taken_and_every_trial_is_logged(
    train: InteractionLog, validation: Cases, item_ids: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="genrec.baselines.grid_search"):
        ranker = tune_item_knn(
            train,
            validation,
            item_ids,
            decays=(0.2, 0.9),
            shrinkages=(0.0, 10.0),
            self_similarities=(1.0, 0.0),
        )
    trials = {
        (decay, shrinkage, own): mean_ndcg(
            ItemKNN(train, item_ids, decay=decay, shrinkage=shrinkage, self_similarity=own), validation
        )
        for decay in (0.2, 0.9)
        for shrinkage in (0.0, 10.0)
        for own in (1.0, 0.0)
    }
    assert len(set(trials.values())) > 1
    first = max((key for key in trials if key[2] == 1.0), key=lambda key: trials[key])
    expected = max([first, (*first[:2], 0.0)], key=lambda key: trials[key])
    assert (ranker.decay, ranker.shrinkage, ranker.self_similarity) == expected
    assert len(caplog.records) == 4 + 1 + 1
    assert f"{trials[expected]:.4f}" in caplog.messages[-1]


def test_of_equal_values_the_first_stays(item_ids: list[str], validation: Cases) -> None:
    log = InteractionLog.from_rows([{"user_id": "u", "item_id": item_ids[0], "timestamp": 0}])
    ranker = tune_item_knn(log, validation, item_ids)
    fresh = ItemKNN(log, item_ids)
    assert (ranker.decay, ranker.shrinkage, ranker.self_similarity) == (
        fresh.decay,
        fresh.shrinkage,
        fresh.self_similarity,
    )


def test_content_parameters_are_chosen_the_same_way(
    vectors: EmbeddingTable, validation: Cases, train: InteractionLog
) -> None:
    ranker = tune_content_knn(vectors, validation, powers=(1.0, 8.0), decays=(0.3, 0.9), train=train)
    best = mean_ndcg(ranker, validation)
    for power in (1.0, 8.0):
        for decay in (0.3, 0.9):
            assert best >= mean_ndcg(ContentKNN(vectors, power=power, decay=decay, train=train), validation)


def test_content_knn_leaves_items_of_the_history_out_where_that_is_better(
    vectors: EmbeddingTable, item_ids: list[str]
) -> None:
    histories = [(item_ids[3], item_ids[7]), (item_ids[7], item_ids[3])]  # two of the same content
    nearest, _ = ContentKNN(vectors, repeats=False).rank(histories, 1)
    elsewhere = Cases(("u", "v"), histories, tuple(nearest[:, 0]))
    assert not tune_content_knn(vectors, elsewhere).repeats
    again = Cases(("u", "v"), histories, (item_ids[3], item_ids[7]))
    assert tune_content_knn(vectors, again).repeats


def test_a_large_validation_set_is_sampled(
    train: InteractionLog, validation: Cases, item_ids: list[str]
) -> None:
    sampled = tune_item_knn(train, validation, item_ids, max_cases=7)
    by_hand = tune_item_knn(train, validation.sample(7), item_ids)
    assert (sampled.decay, sampled.shrinkage) == (by_hand.decay, by_hand.shrinkage)


def test_no_validation_case_is_an_error(train: InteractionLog, item_ids: list[str]) -> None:
    with pytest.raises(DataError, match="no validation case"):
        tune_item_knn(train, Cases((), (), ()), item_ids)


def test_a_markov_chain_is_chosen_the_same_way(
    train: InteractionLog, validation: Cases, item_ids: list[str]
) -> None:
    gaps, decays, shrinkages = ((1.0,), (1.0, 0.5)), (0.5, None), (5.0, 50.0)
    ranker = tune_markov_knn(train, validation, item_ids, gaps=gaps, decays=decays, shrinkages=shrinkages)
    best = mean_ndcg(ranker, validation)
    for one in gaps:
        for decay in decays:
            tried = MarkovKNN(train, item_ids, gaps=one, decay=decay, shrinkage=5.0)
            assert best >= mean_ndcg(tried, validation)
