"""The item-level generator as a ranker: the search's items by name, empty histories, other catalogs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from genrec.baselines import ContentKNN
from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.embeddings import EmbeddingTable
from genrec.errors import DecodingError
from genrec.models import ItemLevelModel, grown
from genrec.quantization import ResidualKMeans
from genrec.recommender import ItemLevelRanker
from genrec.semantic_ids import ItemTokenizer, SemanticIdSpec

SIZES = (4, 3, 5)


def make_catalog(seed: int) -> Catalog:
    numbers = np.random.default_rng(seed).choice(60, size=25, replace=False)
    codes = np.stack(np.unravel_index(numbers, SIZES), axis=1)
    return Catalog([f"i{row}" for row in range(25)], codes, SemanticIdSpec(SIZES))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return make_catalog(0)


@pytest.fixture(scope="module")
def model(catalog: Catalog) -> ItemLevelModel:
    sizes: dict[str, Any] = {"hidden_size": 16, "max_positions": 4, "initializer_range": 0.2}
    return ItemLevelModel.for_catalog(catalog.trie, seed=1, **sizes).eval()


def test_lists_are_the_models_own_order(model: ItemLevelModel, catalog: Catalog) -> None:
    ranker = ItemLevelRanker(model, catalog, num_beams=25, batch_size=2, popular_items=["i3", "gone", "i5"])
    histories = [["i1", "gone", "i2"], [], ["i9"], [f"i{row}" for row in range(7)]]
    items, scores = ranker.rank(histories, 25)
    for i, history in ((0, ["i1", "i2"]), (2, ["i9"]), (3, ["i3", "i4", "i5", "i6"])):
        state = model.encode(torch.from_numpy(catalog.rows(history)).long()[None])[:, -1]
        expected = -model.item_losses(state.expand(25, -1), torch.arange(25)).detach().numpy()
        order = np.argsort(-expected, kind="stable")
        assert items[i].tolist() == catalog.item_array[order].tolist()
        np.testing.assert_allclose(scores[i], expected[order], rtol=1e-4, atol=1e-5)
    assert items[1].tolist() == ["i3", "i5", *[""] * 23]
    assert scores[1, :3].tolist() == [-1.0, -2.0, -np.inf]


def test_a_model_of_other_ids_is_refused(model: ItemLevelModel) -> None:
    with pytest.raises(DecodingError, match="other Semantic IDs"):
        ItemLevelRanker(model, make_catalog(7))


def test_content_is_mixed_in_by_the_search(model: ItemLevelModel, catalog: Catalog) -> None:
    vectors = EmbeddingTable(catalog.item_ids, np.random.default_rng(3).normal(size=(25, 4)))
    content = ContentKNN(vectors, catalog.item_ids, power=2.0)
    alone, mixed = (
        ItemLevelRanker(model, catalog, num_beams=25, content=chosen, content_weight=0.5)
        for chosen in (None, content)
    )
    histories = [["i1", "gone", "i2"], [], ["i9"]]
    for i in (0, 2):
        items, scores = alone.rank([histories[i]], 25)
        expected = dict(zip(items[0], np.exp(scores[0].astype(np.float64)), strict=True))
        for item, share in zip(catalog.item_ids, content.shares([histories[i]])[0], strict=True):
            expected[item] += 0.5 * share
        items, scores = mixed.rank(histories, 25)
        assert dict(zip(items[i], scores[i], strict=True)) == pytest.approx(expected, rel=1e-4)
    assert (items[1] == "").all()


def test_content_is_mixed_into_a_grown_catalog() -> None:
    """Items that joined stand last in the catalog; content-kNN has all of them in canonical order."""
    items = ItemTable.from_rows({"item_id": f"i{row}", "title": ""} for row in range(25))
    vectors = EmbeddingTable(items.canonical_ids, np.random.default_rng(3).normal(size=(25, 4)))
    first = items.subset(items.canonical_ids[3:20])
    tokenizer = ItemTokenizer(ResidualKMeans(2, 6)).fit(first, embeddings=vectors)
    living = Catalog.build(tokenizer, first, embeddings=vectors).add(items, tokenizer, embeddings=vectors)
    anew = Catalog(living.item_ids, living.codes, living.spec)
    assert living.item_ids != anew.item_ids == items.canonical_ids
    model = ItemLevelModel.for_catalog(living.trie, hidden_size=16, initializer_range=0.2)
    content = ContentKNN(vectors, power=2.0)
    (names, scores), (others, other_scores) = (
        ItemLevelRanker(chosen_model, chosen, num_beams=25, content=content).rank([["i9", "i2"]], 25)
        for chosen_model, chosen in ((model.eval(), living), (grown(model, anew.trie), anew))
    )
    np.testing.assert_allclose(scores, other_scores, rtol=1e-5)
    assert names.tolist() == others.tolist()


def test_content_of_another_catalog_is_refused(model: ItemLevelModel, catalog: Catalog) -> None:
    vectors = EmbeddingTable(catalog.item_ids[:20], np.ones((20, 3)))
    with pytest.raises(DecodingError, match="another catalog"):
        ItemLevelRanker(model, catalog, content=ContentKNN(vectors))
