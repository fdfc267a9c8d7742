"""BM25 and dense retrieval: histories as queries, search queries, and the choice of parameters."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from genrec.baselines import BM25, DenseRetrieval, tune_bm25, tune_dense
from genrec.data import Cases, ItemTable
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError

pytest.importorskip("bm25s")
pytest.importorskip("faiss")

TITLES = {
    "a": "steel ruler metric",
    "b": "steel caliper metric digital",
    "c": "glass beaker",
    "d": "glass beaker borosilicate large",
    "e": "rubber gloves",
}
WORDS = sorted({word for title in TITLES.values() for word in title.split()})


@pytest.fixture(scope="module")
def items() -> ItemTable:
    return ItemTable.from_rows([{"item_id": item, "title": title} for item, title in TITLES.items()])


def encode(texts: Sequence[str]) -> np.ndarray:
    return np.array([[text.split().count(word) for word in WORDS] for text in texts], dtype=np.float32)


@pytest.fixture(scope="module")
def vectors() -> EmbeddingTable:
    return EmbeddingTable(list(TITLES), encode(list(TITLES.values())))


def by_hand(query: str, item: str, k1: float, b: float) -> float:
    """BM25 as Lucene has it."""
    documents = {name: title.split() for name, title in TITLES.items()}
    average = sum(map(len, documents.values())) / len(documents)
    total = 0.0
    for word in query.split():
        having = sum(word in words for words in documents.values())
        count = documents[item].count(word)
        rarity = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
        total += rarity * count / (count + k1 * (1 - b + b * len(documents[item]) / average))
    return total


def test_a_search_scores_as_bm25_is_written(items: ItemTable) -> None:
    found, scores = BM25(items, k1=1.2, b=0.5).rank_queries(["steel metric", "nothing here"], 5)
    for item, score in zip(found[0], scores[0], strict=True):
        assert score == pytest.approx(by_hand("steel metric", item, 1.2, 0.5), rel=1e-5)
    assert found[0, 0] == "a"
    assert scores[1].tolist() == [0.0] * 5


@pytest.mark.parametrize("title", ["", "the of a"])
def test_items_without_a_word_are_searched_in_vain(title: str) -> None:
    wordless = ItemTable.from_rows([{"item_id": item, "title": title} for item in TITLES])
    ranker = BM25(wordless)
    for found, scores in (ranker.rank_queries(["the ruler"], 3), ranker.rank([["a"]], 3)):
        assert set(found[0]) <= set(TITLES)
        assert scores.tolist() == [[0.0] * 3]


def test_few_scores_kept_give_the_same_lists(items: ItemTable, monkeypatch: pytest.MonkeyPatch) -> None:
    histories = [["a", "b", "c"], ["d", "a"], ["b"], ["a", "b", "c"]]
    found, scores = BM25(items).rank(histories, 5)
    monkeypatch.setattr(importlib.import_module("genrec.baselines.bm25"), "KNOWN_CELLS", 10)
    ranker = BM25(items)
    again, few = ranker.rank(histories, 5)
    assert (again == found).all()
    assert (few == scores).all()
    assert len(ranker._known) == 2


def test_a_history_is_a_sum_of_queries(items: ItemTable) -> None:
    ranker = BM25(items, decay=0.5)
    found, scores = ranker.rank([["a", "c"], ["gone"], []], 5)
    expected = {item: 0.0 for item in TITLES}
    for weight, asked in ((1.0, "c"), (0.5, "a")):
        own = by_hand(TITLES[asked], asked, 1.5, 0.75)
        for item in TITLES:
            if item != asked:
                expected[item] += weight * by_hand(TITLES[asked], item, 1.5, 0.75) / own
    assert found[0, 0] == "d"
    assert dict(zip(found[0], scores[0], strict=True)) == pytest.approx(expected, rel=1e-5)
    assert found[1].tolist() == found[2].tolist()


def test_dense_queries_are_texts_of_the_newest_items(items: ItemTable, vectors: EmbeddingTable) -> None:
    ranker = DenseRetrieval(vectors, encode, items, query_items=2)
    found, scores = ranker.rank([["e", "gone", "a"], [], ["c"]], 3)
    query = encode([TITLES["a"] + " " + TITLES["e"]])[0]
    cosine = {
        item: float(query @ row / np.linalg.norm(query) / np.linalg.norm(row))
        for item, row in zip(TITLES, encode(list(TITLES.values())), strict=True)
    }
    assert found[0, 0] == "b"
    assert scores[0, 0] == pytest.approx(cosine["b"], rel=1e-5)
    assert not {"a", "e"} & set(found[0])
    assert found[1].tolist() == [""] * 3
    assert found[2, 0] == "d"
    repeating = DenseRetrieval(vectors, encode, items, query_items=2, repeat=True).rank([["e", "a"]], 5)
    assert dict(zip(repeating[0][0], repeating[1][0], strict=True)) == pytest.approx(cosine, rel=1e-5)


def test_dense_search(vectors: EmbeddingTable) -> None:
    ranker = DenseRetrieval(vectors, encode)
    found, scores = ranker.rank_queries(["glass beaker", "rubber"], 7)
    assert found[:, 0].tolist() == ["c", "e"]
    assert scores[0, 0] == pytest.approx(1.0)
    assert found[:, 5:].tolist() == [["", ""]] * 2
    with pytest.raises(DataError, match="no item texts"):
        ranker.rank([["a"]], 2)


def test_parameters_are_chosen_on_validation_and_kept(
    items: ItemTable, vectors: EmbeddingTable, tmp_path: Path
) -> None:
    cases = Cases(("u", "v"), (("e", "a"), ("c",)), ("b", "d"))
    bm25 = tune_bm25(items, cases, k1s=(1.5,), bs=(0.75,), log_file=tmp_path / "bm25.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "bm25.jsonl").read_text().splitlines()]
    assert len(rows) == 2 + 2
    assert bm25.decay == max(rows, key=lambda row: row["ndcg@10"])["decay"]
    dense = tune_dense(vectors, encode, items, cases, query_items=(1, 2), log_file=tmp_path / "d.jsonl")
    values = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert dense.query_items == max(values, key=lambda row: row["ndcg@10"])["query_items"]


def test_bm25_does_not_start_jax(items: ItemTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where JAX is installed, importing bm25s starts it, and it takes most of a GPU's memory."""
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax/__init__.py").write_text("")
    (tmp_path / "jax/lax.py").write_text("raise RuntimeError('JAX was started')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] in ("bm25s", "jax")]:
        monkeypatch.delitem(sys.modules, name)
    found, _ = BM25(items).rank_queries(["steel metric"], 1)
    assert found.tolist() == [["a"]]
    assert "jax" not in sys.modules
    importlib.import_module("jax")  # it is there for whoever wants it
