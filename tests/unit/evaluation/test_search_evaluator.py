"""Search by graded judgments, and dialogues turn by turn, on the same machinery."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.data import Dialogues, InteractionLog, ItemTable, SearchTask
from genrec.errors import DataError
from genrec.evaluation import DialogueCases, RetrievalEvaluator, SearchEvaluator, read_run, write_run

ITEMS = [f"d{n}" for n in range(10)]


class Words:
    """Ranks items by a table of query -> list."""

    name = "words"

    def __init__(self, lists: dict[str, list[str]]) -> None:
        self.lists = lists

    def rank_queries(self, queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        items = np.full((len(queries), k), "", dtype=object)
        for i, query in enumerate(queries):
            row = self.lists[query][:k]
            items[i, : len(row)] = row
        return items, np.where(items == "", -np.inf, -np.arange(k)).astype(np.float32)


def corpus() -> ItemTable:
    return ItemTable.from_rows({"item_id": item, "title": item} for item in ITEMS)


@given(data=st.data())
def test_numbers_are_those_of_ir_measures_on_the_judgments(data: st.DataObject) -> None:
    queries = {f"q{n}": f"text {n}" for n in range(4)}
    grades = st.dictionaries(st.sampled_from(ITEMS), st.integers(0, 3), min_size=1)
    qrels = {query: data.draw(grades) | {"d9": 1} for query in queries}
    lists = {text: data.draw(st.permutations(ITEMS)) for text in queries.values()}
    task = SearchTask(corpus(), queries, {"test": qrels})
    result = SearchEvaluator.of_task(task, ks=(2, 6), bootstrap=0).evaluate(Words(lists))
    measures = [
        ir_measures.R @ 2,
        ir_measures.nDCG @ 2,
        ir_measures.R @ 6,
        ir_measures.nDCG @ 6,
        ir_measures.RR @ 6,
    ]
    run = {query: {item: -place for place, item in enumerate(lists[text])} for query, text in queries.items()}
    expected = ir_measures.calc_aggregate(measures, qrels, run)
    assert list(result.metrics.values()) == pytest.approx(
        [expected[measure] for measure in measures], abs=1e-9
    )
    assert result.masking == "item with the query's own id masked"


def test_a_document_is_no_answer_to_itself() -> None:
    task = SearchTask(corpus(), {"d1": "one", "q": "other"}, {"test": {"d1": {"d2": 1}, "q": {"d1": 1}}})
    lists = {"one": ["d1", "d2", "d3"], "other": ["d1", "d2", "d3"]}
    result = SearchEvaluator.of_task(task, ks=(1,), bootstrap=0).evaluate(Words(lists))
    assert result.metrics["recall@1"] == 1
    assert result.invalid_rate == 0


def test_a_run_of_a_search_keeps_the_queries_own_ids(tmp_path: Path) -> None:
    task = SearchTask(corpus(), {"a b": "x", "ü": "y"}, {"test": {"a b": {"d1": 2, "d2": 1}, "ü": {"d3": 1}}})
    judge = SearchEvaluator.of_task(task, ks=(2,), bootstrap=20)
    result = judge.evaluate(Words({"x": ["d2", "d1"], "y": ["d4", "d3"]}))
    write_run(result, tmp_path / "run")
    again = read_run(tmp_path / "run")
    assert again.case_ids == ("a b", "ü")
    assert again.result(bootstrap=20, seed=0).to_dict() == result.to_dict()
    assert 0 < result.metrics["ndcg@2"] < 1
    assert result.cases == task.fingerprint()


def test_queries_that_cannot_be_answered_are_told() -> None:
    task = SearchTask(corpus(), {"q": "x"}, {"test": {"q": {"d1": 0}}})
    with pytest.raises(DataError, match="no query"):
        SearchEvaluator.of_task(task)
    names = (["q"], ["q"], "")
    with pytest.raises(DataError, match="1 queries have no relevant item"):
        SearchEvaluator(["x"], [{"d1": 0}], item_ids=ITEMS, names=names)
    with pytest.raises(DataError, match="1 judged items are not in the corpus"):
        SearchEvaluator(["x"], [{"gone": 1}], item_ids=ITEMS, names=names)


def talk(*turns: tuple[str, str, list[str]], name: str = "t1") -> dict[str, object]:
    spoken = [{"role": role, "text": text, "item_ids": items} for role, text, items in turns]
    return {"dialogue_id": name, "turns": spoken}


TALKS = Dialogues.from_rows(
    [
        talk(
            ("user", "I liked d1", ["d1"]),
            ("assistant", "Then d2, d3 or d1", ["d2", "d3", "d1"]),
            ("user", "d4?", ["d4"]),
            ("assistant", "d4 and d2 again", ["d4", "d2"]),
            ("assistant", "or d5", ["d5"]),
        ),
        talk(("assistant", "Hello, d6", ["d6"]), name="t2"),
    ]
)
TRAIN = Dialogues.from_rows([talk(("user", "d2 and d5", ["d2", "d5"]), name="t0")])


def test_only_items_not_mentioned_before_are_targets() -> None:
    found = DialogueCases.of(TALKS, train=TRAIN)
    assert found.cases.targets == ("d2", "d3", "d5", "d6")
    assert found.cases.histories == (("d1",), ("d1",), ("d1", "d2", "d3", "d4"), ())
    assert found.cases.user_ids == ("t1", "t1", "t1", "t2")
    assert found.turns.tolist() == [1, 1, 4, 0]
    assert found.seen.tolist() == [True, False, True, False]
    assert found.texts[0] == "user: I liked d1"
    assert found.texts[2].splitlines()[-1] == "assistant: d4 and d2 again"
    assert found.texts[3] == ""
    assert DialogueCases.of(TALKS, item_ids=["d6"]).cases.targets == ("d6",)


def test_texts_and_histories_are_measured_on_the_same_cases() -> None:
    found = DialogueCases.of(TALKS, train=TRAIN)

    class Both(Words):
        def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
            return self.rank_queries([""] * len(histories), k)

    ranker = Both(dict.fromkeys(["", *found.texts], ITEMS))
    by_text = SearchEvaluator.of_dialogues(found, ITEMS, ks=(1, 2), bootstrap=50).evaluate(ranker)
    by_history = RetrievalEvaluator(
        found.cases, item_ids=ITEMS, ks=(1, 2), mask_history=True, bootstrap=50, slices=found.slices()
    ).evaluate(ranker)
    assert {**by_text.to_dict(), "seconds": 0} == {**by_history.to_dict(), "seconds": 0}
    assert (by_text.cases, by_text.masking) == (by_history.cases, by_history.masking)
    # mentioned items are masked: lists begin d0 d2 (twice), d0 d5, d0 d1
    assert by_text.metrics["recall@2"] == pytest.approx(2 / 4)
    assert by_text.slices["seen targets"].metrics["recall@2"] == 1
    assert by_text.slices["unseen targets"].metrics["recall@2"] == 0
    assert by_text.slices["seen targets"].cases == 2


def test_a_recommended_item_outside_the_catalog_is_told() -> None:
    log = InteractionLog.from_rows([{"user_id": "t0", "item_id": "d2"}])
    for train in (None, log):
        with pytest.raises(DataError, match="1 targets are not in the catalog of 6 items"):
            SearchEvaluator.of_dialogues(DialogueCases.of(TALKS), ITEMS[:6], train=train)


def test_a_dialogue_cannot_train_and_judge_and_something_must_be_recommended() -> None:
    with pytest.raises(DataError, match="1 dialogues are trained on and evaluated"):
        DialogueCases.of(TALKS, train=Dialogues.from_rows([talk(("user", "x", []), name="t2")]))
    with pytest.raises(DataError, match="not mentioned before"):
        DialogueCases.of(TRAIN)


def test_real_dialogues_give_cases(shared_data: Path) -> None:
    folder = shared_data / "conv_redial"
    items = ItemTable.read(folder / "items.jsonl.gz")
    dialogues = Dialogues.read(folder / "dialogues.jsonl.gz", items=items)
    found = DialogueCases.of(dialogues.of_split("test"), train=dialogues.of_split("valid"))
    assert len(found) > 3000
    assert all(t not in h for h, t in zip(found.cases.histories, found.cases.targets, strict=True))
    assert 0.3 < found.seen.mean() < 0.95
