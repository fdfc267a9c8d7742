"""The item-level recommender: answers, content mixed in, saved and loaded, damaged folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrec import ChatSession
from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.embeddings import EmbeddingTable
from genrec.errors import ArtifactError, ConfigError, DataError, DecodingError
from genrec.models import ItemLevelModel
from genrec.recommender import ItemLevelRanker, ItemLevelRecommender, ItemLevelSettings
from genrec.semantic_ids import SemanticIdSpec

IDS = [f"i{row}" for row in range(12)]


@pytest.fixture
def make() -> Any:
    generator = np.random.default_rng(0)
    codes = np.stack(np.unravel_index(generator.permutation(12), (4, 3)), axis=1)
    catalog = Catalog(IDS, codes, SemanticIdSpec((4, 3)))
    items = ItemTable.from_rows(
        {"item_id": item, "title": f"Title of {item}", "price": 5.0 + n, "brand": f"Brand {n % 3}"}
        for n, item in enumerate(IDS)
    )
    embeddings = EmbeddingTable(IDS, generator.normal(size=(12, 5)).astype(np.float32))
    sizes: dict[str, Any] = {"hidden_size": 8, "max_positions": 4, "initializer_range": 0.3}
    content = embeddings.vectors_for(catalog.item_ids)
    model = ItemLevelModel.for_catalog(catalog.trie, content, seed=1, **sizes).eval()

    def build(**settings: Any) -> ItemLevelRecommender:
        chosen = ItemLevelSettings(popular_items=("i3", "i5"), **settings)
        return ItemLevelRecommender(model, catalog, items, settings=chosen, embeddings=embeddings)

    return build


def test_the_history_is_left_out_and_an_empty_one_gets_the_popular(make: Any) -> None:
    recommender = make()
    found = recommender.recommend(["i1", "i2"], k=10)
    assert len(found) == 10
    assert not {"i1", "i2"} & {row.item_id for row in found}
    assert found[0].title == f"Title of {found[0].item_id}"
    assert found[0].semantic_id == recommender.catalog.tokens(found[0].item_id)
    assert [row.item_id for row in recommender.recommend([], k=5)] == ["i3", "i5"]
    assert [row.item_id for row in make(content_weight=1.0).recommend([], k=12)][:2] == ["i3", "i5"]


def test_content_is_mixed_in_by_its_weight(make: Any) -> None:
    alone, mixed = make(), make(content_weight=3.0)
    history = ["i1", "i2"]
    items, scores = alone.ranker.rank([history], 12)
    expected = dict(zip(items[0], np.exp(scores[0]), strict=True))
    vectors = {item: mixed.embeddings.vectors_for([item])[0] for item in IDS}
    content = {item: 0.0 for item in IDS}
    for weight, asked in ((1.0, "i2"), (0.4, "i1")):
        for item in IDS:
            lengths = np.linalg.norm(vectors[item]) * np.linalg.norm(vectors[asked])
            cosine = max(float(vectors[item] @ vectors[asked]) / lengths, 0)
            content[item] += weight * cosine**8 * (item != asked)
    for item in IDS:
        expected[item] += 3.0 * content[item] / sum(content.values())
    found = mixed.recommend(history, k=12, exclude_history=False)
    assert {row.item_id: row.score for row in found} == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_filters_hold_inside_the_search_and_change_no_score(make: Any, weight: float) -> None:
    recommender = make(content_weight=weight, num_beams=2)
    history = ["i1", "i2"]
    whole = make(content_weight=weight, num_beams=12).recommend(history, k=12, exclude_history=False)
    scores = {row.item_id: row.score for row in whole}
    fits = {"i0", "i3", "i6"}
    for exact in (False, True):
        found = recommender.recommend(
            history, 5, filters={"max_price": 12, "brands": ["Brand 0"]}, exclude=["i3"], exact=exact
        )
        assert {row.item_id for row in found} == fits - {"i3"}
        assert [row.score for row in found] == pytest.approx([scores[r.item_id] for r in found], rel=1e-4)
    best = recommender.recommend(history, 3, exclude_history=False, exact=True)
    assert [row.item_id for row in best] == [row.item_id for row in whole[:3]]
    assert all(row.certified for row in best)
    rated = recommender.score(history, IDS)
    assert dict(zip(IDS, rated, strict=True)) == pytest.approx(scores, rel=1e-4)
    assert recommender.recommend(history, filters={"max_price": 1}) == []
    assert recommender.why_nothing_fits({"max_price": 1})[0][1] == 12


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_words_find_items_and_the_model_orders_them(make: Any, weight: float) -> None:
    recommender = make(content_weight=weight)
    found = recommender.recommend(query="title i7")
    assert found[0].item_id == "i7"
    assert found[0].source == "text"
    assert recommender.recommend(["i1"], query="title of")[0].source == "text+model"
    with pytest.raises(DataError, match="not trained on queries"):
        recommender.shortlister.rated(["i1"], "words", ["i2"], "error")
    session = ChatSession(recommender, history=["i1", "i2"], k=3)
    reply = session.say("under 12 dollars, not Brand 1")
    assert [r.item_id for r in reply.recommendations]
    for item in (r.item_id for r in reply.recommendations):
        assert recommender.items.row(item)["price"] <= 12
        assert recommender.items.row(item)["brand"] != "Brand 1"
    messages = [{"role": "user", "content": "under 12 dollars, not Brand 1"}]
    assert recommender.chat(messages, history=["i1", "i2"], k=3) == reply
    assert recommender.recommend(["i1", "i2"], 3, messages=messages) == reply.recommendations
    assert [e.type for e in recommender.stream_chat(messages)][-1] == "reply"
    assert recommender.explain("i3").item_id == "i3"
    with pytest.raises(ConfigError, match="not trained on dialogues"):
        ChatSession(recommender, composed=False)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_saved_and_loaded_it_answers_the_same(make: Any, tmp_path: Path, weight: float) -> None:
    recommender = make(content_weight=weight)
    recommender.metrics = {"validation": {"ndcg@10": 0.5}}
    recommender.save_pretrained(tmp_path / "bundle")
    loaded = ItemLevelRecommender.from_pretrained(tmp_path / "bundle")
    assert loaded.recommend(["i4", "i9"], k=12) == recommender.recommend(["i4", "i9"], k=12)
    assert loaded.settings == recommender.settings
    assert loaded.metrics == recommender.metrics


@pytest.mark.parametrize("wrong", [-1, 2.5, True, None])
def test_numbers_that_count_nothing_get_a_clear_error(make: Any, wrong: Any) -> None:
    recommender = make()
    with pytest.raises(DataError, match="nearest counts what is shown"):
        recommender.explain("i3", nearest=wrong)
    assert recommender.explain("i3", nearest=0).nearest == ()
    for number in (wrong, 0):
        with pytest.raises(DecodingError):
            recommender.recommend(["i1"], number)
        with pytest.raises(DecodingError):
            recommender.ranker.rank([[]], number)
        with pytest.raises(DecodingError, match="needs a beam"):
            make(num_beams=number)
        with pytest.raises(DecodingError, match="at least one history"):
            ItemLevelRanker(recommender.model, recommender.catalog, batch_size=number)


def test_a_changed_file_is_noticed(make: Any, tmp_path: Path) -> None:
    make().save_pretrained(tmp_path / "bundle")
    (tmp_path / "bundle" / "metrics.json").write_text(json.dumps({"ndcg@10": 1.0}))
    with pytest.raises(ArtifactError, match=r"metrics\.json"):
        ItemLevelRecommender.from_pretrained(tmp_path / "bundle")


def test_content_without_vectors_is_refused(make: Any) -> None:
    one = make()
    with pytest.raises(DataError, match="no content vectors"):
        ItemLevelRecommender(
            one.model, one.catalog, one.items, settings=ItemLevelSettings(content_weight=1.0)
        )
