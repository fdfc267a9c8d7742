"""Tasks from names: every name has its task, wrong names and missing columns are told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from genrec.data import ItemTable
from genrec.errors import ConfigError, DataError
from genrec.tasks import LC_REC, TaskInputs, TaskMixture, TaskName, TaskOptions, build_tasks, load_templates
from genrec.tasks.templates import FOLDER


def inputs_of(world: Any, **options: Any) -> TaskInputs:
    return TaskInputs(world.catalog, world.items, world.log, **options)


def test_every_name_builds_the_task_of_that_name_and_has_a_template_file(world: Any) -> None:
    tasks = build_tasks(dict.fromkeys(LC_REC), inputs_of(world))
    assert [(name, task.name) for name, task in tasks.items()] == [(name, name) for name in LC_REC]
    assert set(LC_REC) <= set(get_args(TaskName))
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= set(LC_REC)


def test_options_reach_the_tasks(world: Any) -> None:
    inputs = inputs_of(world, max_history=3)
    options = {"seqrec": TaskOptions(form="prompted"), "index2item": TaskOptions(max_characters=1)}
    tasks: Any = build_tasks(options, inputs)  # type: ignore[arg-type]
    assert tasks["seqrec"].targets.max_history == 3
    assert set(np.array(tasks["index2item"].forms.names)[tasks["index2item"].forms.masks.any(axis=0)]) == {
        "title"
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"seqreq": None}, r"no such task\nreceived: seqreq\nwhat to do: did you mean seqrec\?"),
        ({"item2index": TaskOptions(form="packed")}, r"item2index does not take this option\nreceived: form"),
        ({"seqrec": TaskOptions(max_characters=5)}, r"does not take this option\nreceived: max_characters"),
    ],
)
def test_wrong_names_and_options_get_a_clear_error(world: Any, options: Any, expected: str) -> None:
    for missing in ("error", "skip"):
        with pytest.raises(ConfigError, match=expected):
            build_tasks(options, inputs_of(world), missing=missing)  # type: ignore[arg-type]


def test_tasks_without_data_are_an_error_or_left_out(
    make_world: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(chat=False)
    bare = replace(
        world, items=ItemTable.from_rows({"item_id": i, "title": ""} for i in world.items.item_ids)
    )
    with pytest.raises(DataError, match="no item has a title or a description"):
        build_tasks({"item2index": None}, inputs_of(bare))
    with caplog.at_level(logging.WARNING, logger="genrec"):
        mixture = TaskMixture.lc_rec(bare.catalog, bare.items, bare.log)
    assert [task.name for task in mixture.tasks] == ["seqrec"]
    left_out = [r.message for r in caplog.records if "is left out" in r.message]
    assert len(left_out) == 5
    assert "itemsearch is left out: the item table has nothing to describe items by" in left_out


def test_lc_rec_is_six_tasks_with_weights_caps_and_a_wording(world: Any) -> None:
    mixture = TaskMixture.lc_rec(world.catalog, world.items, world.log)
    assert [task.name for task in mixture.tasks] == list(LC_REC)
    assert mixture.template is None
    assert mixture.counts == [len(task) for task in mixture.tasks]
    options = {
        "seqrec": TaskOptions(form="prompted", weight=2),
        "item2index": TaskOptions(weight=0.5),
        "fusionseqrec": TaskOptions(cap=4),
    }
    other = TaskMixture.lc_rec(world.catalog, world.items, world.log, options=options, held_out=["i2"])  # type: ignore[arg-type]
    counts = dict(zip((task.name for task in other.tasks), other.counts, strict=True))
    assert counts["seqrec"] == 2 * len(other.tasks[0])
    assert counts["item2index"] == 12  # half of 23
    assert counts["fusionseqrec"] == 4
    assert other.template is not None


def test_a_mixture_without_seqrec_is_asked_in_a_prompt(world: Any) -> None:
    mixture = TaskMixture.build({"item2index": None}, inputs_of(world), seed=3)
    assert mixture.template is not None
    assert mixture.seed == 3


def test_p5_takes_the_tasks_whose_columns_are_there_and_is_asked_in_its_own_words(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="genrec"):
        mixture = TaskMixture.p5(world.catalog, world.items, world.log)
    assert [task.name for task in mixture.tasks] == ["sequential", "direct"]
    assert [r.message for r in caplog.records] == [
        f"{task} is left out: the task {task} needs the column {column} of the interactions, "
        "which this log does not have"
        for task, column in (("rating", "rating"), ("explanation", "explanation"), ("review", "summary"))
    ]
    assert mixture.template in load_templates("sequential")["next_item"].training
    options: Any = {"direct": TaskOptions(num_candidates=3, cap=2), "seqrec": None}
    other = TaskMixture.p5(world.catalog, world.items, world.log, options=options)
    assert [task.name for task in other.tasks] == ["sequential", "direct", "seqrec"]
    assert other.counts[1] == 2
    assert other.template is None
