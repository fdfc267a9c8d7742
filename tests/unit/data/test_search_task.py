"""Search tasks: BEIR's layout there and back, judgments that fit, and what is told of files that do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genrec.data import ItemTable, SearchTask
from genrec.errors import DataError

CORPUS = [
    {"_id": "d1", "title": "One", "text": "The first.", "metadata": {}},
    {"_id": "d2", "title": "", "text": "The second, with a\ttab.", "metadata": {}},
    {"_id": "007", "title": "Three", "text": "", "metadata": {}},
]
QUERIES = [{"_id": "q1", "text": "first?"}, {"_id": "q2", "text": ""}, {"_id": "9", "text": "none judged"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq2\t007\t0\n9\td2\t1\n"


def write_beir(folder: Path, corpus: list[dict[str, object]] = CORPUS, qrels: str = QRELS) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUERIES))
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder


def test_beirs_layout_is_read(tmp_path: Path) -> None:
    task = SearchTask.read(write_beir(tmp_path))
    assert task.corpus.item_ids == ["d1", "d2", "007"]
    assert task.corpus.title("d1") == "One"
    assert task.corpus.row("d2")["description"] == "The second, with a\ttab."
    assert task.corpus.columns == ("item_id", "title", "description")
    assert task.queries == {"q1": "first?", "q2": "", "9": "none judged"}
    assert task.qrels == {"test": {"q1": {"d1": 2, "d2": 1}, "q2": {"007": 0}, "9": {"d2": 1}}}
    assert task.judged() == ["q1", "9"]  # a query without a relevant item cannot be answered


def test_a_task_written_is_read_back_the_same(tmp_path: Path) -> None:
    items = ItemTable.from_rows(
        [
            {"item_id": 'tab\tand "quote"', "title": "ü", "description": "line\nbreak", "brand": "B"},
            {"item_id": "plain id", "title": "", "description": "", "brand": ""},
        ]
    )
    judgments = {"q\t1": {'tab\tand "quote"': 3}, "2": {"plain id": 1, 'tab\tand "quote"': 0}}
    task = SearchTask(
        items, {"q\t1": "one", "2": "zwei ü"}, {"test": judgments, "dev": {"2": {"plain id": 2}}}
    )
    task.write(tmp_path)
    again = SearchTask.read(tmp_path)
    assert again.queries == task.queries
    assert again.qrels == task.qrels
    assert again.corpus.item_ids == items.item_ids
    assert again.corpus.texts(["title", "description"]) == items.texts(["title", "description"])
    assert again.corpus.row("plain id")["metadata"] == {"brand": ""}
    assert again.fingerprint() == task.fingerprint()
    again.write(tmp_path / "again")
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "qrels/dev.tsv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_metadata_that_is_a_text_and_a_split_without_judgments_can_be_written(tmp_path: Path) -> None:
    items = ItemTable.from_rows([{"item_id": "d1", "title": "One", "metadata": "a text", "brand": "B"}])
    SearchTask(items, {"q": "one"}, {"test": {"q": {"d1": 1}}, "dev": {}, "train": {"q": {}}}).write(tmp_path)
    again = SearchTask.read(tmp_path)
    assert again.corpus.row("d1")["metadata"] == {"metadata": "a text", "brand": "B"}
    assert again.qrels == {"test": {"q": {"d1": 1}}}


def test_a_corpus_may_lack_titles_and_files_may_be_packed(tmp_path: Path) -> None:
    import gzip

    write_beir(tmp_path, [{"_id": row["_id"], "text": row["text"]} for row in CORPUS])
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        path = tmp_path / name
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    task = SearchTask.read(tmp_path)
    assert task.corpus.title("d1") == ""
    assert task.judged() == ["q1", "9"]


def test_the_fingerprint_follows_what_is_asked_and_not_the_order(tmp_path: Path) -> None:
    task = SearchTask.read(write_beir(tmp_path))
    turned = {query: dict(reversed(grades.items())) for query, grades in reversed(task.qrels["test"].items())}
    assert SearchTask(task.corpus, task.queries, {"test": turned}).fingerprint() == task.fingerprint()
    regraded = {**task.qrels["test"], "9": {"d2": 2}}
    assert SearchTask(task.corpus, task.queries, {"test": regraded}).fingerprint() != task.fingerprint()
    reworded = {**task.queries, "9": "other words"}
    assert SearchTask(task.corpus, reworded, task.qrels).fingerprint() != task.fingerprint()


@pytest.mark.parametrize(
    ("qrels", "told"),
    [
        ("query-id\tcorpus-id\tscore\nq1\td9\t1\n", "item 'd9' of query 'q1'"),
        ("query-id\tcorpus-id\tscore\nq7\td1\t1\n", "query 'q7'"),
        ("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td1\t2\n", "line 3, column score"),
        ("query-id\tcorpus-id\tscore\nq1\td1\thigh\n", "line 2, column score"),
        ("query-id\tscore\nq1\t1\n", "no column corpus-id"),
    ],
)
def test_judgments_that_do_not_fit_are_told(tmp_path: Path, qrels: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        SearchTask.read(write_beir(tmp_path, qrels=qrels))
    assert told in str(caught.value)


def test_missing_judgments_repeated_queries_and_unknown_splits_are_told(tmp_path: Path) -> None:
    folder = write_beir(tmp_path)
    with pytest.raises(DataError, match="no such split"):
        SearchTask.read(folder).judged("dev")
    with (folder / "queries.jsonl").open("a") as stream:
        stream.write('{"_id": "q1", "text": "again"}\n')
    with pytest.raises(DataError, match=r"queries.jsonl, line 4.*stands there twice"):
        SearchTask.read(folder)
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(DataError, match="has no judgments"):
        SearchTask.read(folder)


def test_a_table_each_is_read_too(shared_data: Path) -> None:
    folder = shared_data / "limit_small"
    task = SearchTask.from_files(
        folder / "items.jsonl.gz", folder / "queries.csv.gz", {"test": folder / "qrels.csv.gz"}
    )
    assert (len(task.corpus), len(task.queries), len(task.judged())) == (46, 1000, 1000)
    assert {len(grades) for grades in task.qrels["test"].values()} == {2}
