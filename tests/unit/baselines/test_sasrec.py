"""SASRec as a ranker: it learns a cycle, keeps to the protocol, and one history does not touch another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrec.baselines import Popularity, SASRec, sasrec_model
from genrec.data import InteractionLog, canonical_order
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError
from genrec.tasks import ItemSequences
from genrec.training import ItemTrainer, ItemTrainingConfig


@pytest.mark.parametrize("with_content", [False, True])
def test_a_deterministic_cycle_is_learned(tmp_path: Path, with_content: bool) -> None:
    ids = [f"i{row}" for row in range(12)]
    log = InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": ids[(5 * user + 7 * step) % 12], "timestamp": step}
        for user in range(24)
        for step in range(3 + user % 6)
    )
    order = canonical_order(ids)
    content = np.random.default_rng(0).normal(size=(12, 4)) if with_content else None
    model = sasrec_model(12, content, hidden_size=16, num_layers=1, max_history=6, dropout=0.0)
    args = ItemTrainingConfig(
        str(tmp_path), max_steps=80, learning_rate=1e-2, use_cpu=True, disable_tqdm=True, warmup_steps=0
    )
    ItemTrainer(model=model, train_dataset=ItemSequences(order, log, max_history=6), args=args).train()
    ranker = SASRec(model, ids)
    found, scores = ranker.rank([[ids[i], ids[(i + 7) % 12]] for i in range(12)], 3)
    assert found[:, 0].tolist() == [ids[(i + 14) % 12] for i in range(12)]
    assert (np.exp(scores[:, 0]) > 0.8).all()


def test_lists_keep_to_the_protocol(
    train: InteractionLog, queries: list[list[str]], item_ids: list[str]
) -> None:
    model = sasrec_model(40, hidden_size=16, num_layers=1, max_history=10, initializer_range=0.3)
    popularity = Popularity(train, item_ids)
    ranker = SASRec(model, item_ids, counts=popularity.counts)
    items, scores = ranker.rank(queries, 45)
    assert items.dtype == object
    assert scores.dtype == np.float32
    for row in items:
        assert sorted(row[:40]) == sorted(item_ids)
        assert row[40:].tolist() == [""] * 5
    assert (np.diff(scores[:, :40], axis=1) <= 0).all()
    assert np.isneginf(scores[:, 40:]).all()
    assert items[:2, :40].tolist() == popularity.rank([[], []], 40)[0].tolist()
    assert scores[0, :40].tolist() == [-float(place) for place in range(1, 41)]
    np.testing.assert_allclose(np.exp(scores[2:, :40]).sum(axis=1), 1, rtol=1e-5)
    for i, query in enumerate(queries):
        alone = ranker.rank([query], 45)
        np.testing.assert_allclose(alone[1][0], scores[i], atol=1e-5)
    recent = ranker.rank([queries[-1][-10:]], 40)
    assert recent[0][0].tolist() == items[-1, :40].tolist()


def test_a_model_of_another_catalog_is_refused(vectors: EmbeddingTable, item_ids: list[str]) -> None:
    with pytest.raises(DataError, match="39 items in the model"):
        SASRec(sasrec_model(39, hidden_size=8), item_ids)
