"""query2index: synthetic queries and given pairs, each to the document that answers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrec.catalog import Catalog
from genrec.data import ItemTable, SearchTask
from genrec.errors import DataError
from genrec.semantic_ids import SemanticIdSpec
from genrec.tasks import IGNORED_LABEL, AttributeTexts, Query2Index, judged_pairs


class Queries:
    """Two queries an item, none of every fourth."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def queries(self, item_id: str) -> tuple[str, ...]:
        self.asked.append(item_id)
        return () if int(item_id[1:]) % 4 == 0 else (f"one {item_id}.", " ", f"two {item_id}.")


def ask(world: Any, task: Query2Index, index: int, seed: int) -> tuple[str, str]:
    ids, labels = task.row(index, np.random.default_rng(seed), world.builder())
    learned = labels != IGNORED_LABEL
    tokens = [
        t for t in world.text_tokenizer.convert_ids_to_tokens(ids[learned]) if t[1:3] in ("a_", "b_", "c_")
    ]
    return world.decoded(ids[~learned]), world.catalog.item(tokens)


def test_every_item_with_queries_has_a_row_and_every_pair_too(world: Any) -> None:
    source = Queries()
    pairs = [("what is it", "i4"), ("and that", "i9"), ("what is it", "i4"), ("  ", "i9"), ("hidden", "i7")]
    task = Query2Index(world.catalog, source, pairs, held_out=["i7", "i8", "nowhere"])
    known = [i for i in world.items.item_ids if int(i[1:]) % 4 and i not in ("i7", "i8")]
    assert len(task) == task.num_targets == len(known) + 2
    assert not {"i7", "i8"} & set(source.asked)
    said: dict[str, set[str]] = {}
    for index in range(len(task)):
        for seed in range(10):
            prompt, item = ask(world, task, index, seed)
            found = [q for q in ("what is it", "and that", f"one {item}.", f"two {item}.") if q in prompt]
            assert len(found) == 1
            said.setdefault(item, set()).update(found)
    assert said["i4"] == {"what is it"}
    assert said["i9"] == {"and that", "one i9.", "two i9."}
    assert set(said) == {*known, "i4"}


def test_pairs_alone_and_nothing_at_all(world: Any) -> None:
    task = Query2Index(world.catalog, None, [("a question", "i1")])
    assert ask(world, task, 0, 0)[1] == "i1"
    with pytest.raises(DataError, match="no query to learn from"):
        Query2Index(world.catalog, None, [("a question", "i1")], held_out=["i1"])
    with pytest.raises(DataError, match="does not have this item"):
        Query2Index(world.catalog, None, [("a question", "elsewhere")])


def test_pairs_of_a_search_task_are_the_relevant_ones_of_its_split(world: Any) -> None:
    qrels = {"train": {"q1": {"i1": 1, "i2": 0}, "q2": {"i3": 2, "i4": 1}}, "test": {"q3": {"i5": 1}}}
    task = SearchTask(world.items, {"q1": "first", "q2": "second", "q3": "third"}, qrels)
    assert judged_pairs(task) == [("first", "i1"), ("second", "i3"), ("second", "i4")]
    assert judged_pairs(task, "test") == [("third", "i5")]
    with pytest.raises(DataError, match="no such split"):
        judged_pairs(task, "dev")


def test_limit_small(shared_data: Path, world: Any) -> None:
    folder = shared_data / "limit_small"
    task = SearchTask.from_files(
        folder / "items.jsonl.gz", folder / "queries.csv.gz", {"train": folder / "qrels.csv.gz"}
    )
    items: ItemTable = task.corpus
    spec = SemanticIdSpec((6, 5, 4))
    codes = np.stack(np.unravel_index(np.arange(46), spec.codebook_sizes), axis=1)
    catalog = Catalog(items.item_ids, codes, spec)
    rows = Query2Index(catalog, AttributeTexts(items), judged_pairs(task))
    assert len(rows) == 2000 + 46
    for index in range(0, len(rows), 97):
        _, labels = rows.row(index, np.random.default_rng(index), world.builder())
        assert (labels != IGNORED_LABEL).sum() == 3 + 1
