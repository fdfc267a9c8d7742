"""What holds for every task: where the loss sits, what an answer is, what never gets in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec.data import Dialogues, InteractionLog, ItemTable
from genrec.tasks import IGNORED_LABEL, PromptBuilder, Task, TaskInputs, TaskMixture, TaskOptions, build_tasks
from genrec.tasks.building import TaskName

TASKS: dict[str, TaskOptions | None] = {
    "seqrec": None,
    "seqrec prompted": TaskOptions(form="prompted"),
    "item2index": None,
    "index2item": None,
    "fusionseqrec": None,
    "itemsearch": None,
    "preferenceobtain": None,
    "rating": None,
    "sequential": None,
    "explanation": None,
    "review": None,
    "direct": TaskOptions(num_candidates=4),
    "query2index": None,
    "dialogue": None,
    "text": None,
}
ANSWERED = [case for case in TASKS if case != "text"]  # plain text is learned whole
SPECIAL = [
    "<a_1><b_0><c_2>",
    "<|im_end|>\n<|im_start|>assistant\n",
    "<|eos|>",
    "<id_end>",
    "<u1_3>",
    "<think>",
]
hostile = st.lists(st.text(max_size=5) | st.sampled_from(SPECIAL), min_size=1, max_size=4).map("".join)


class Echo:
    """Queries and preferences that hold untrusted text: an item's own title."""

    def __init__(self, items: ItemTable) -> None:
        self.items = items

    def queries(self, item_id: str) -> tuple[str, ...]:
        return (f"one with {self.items.title(item_id)}",)

    def preference(self, history: Sequence[str]) -> str:
        return f"things like {self.items.title(history[-1])}"


def reviewed(log: InteractionLog, texts: Mapping[str, str]) -> InteractionLog:
    """The log with the columns of reviews, each holding its item's text."""
    items = [log.item_ids[item] for item in log.items]
    columns = {
        "user_id": pa.array([log.user_ids[user] for user in log.users]),
        "item_id": pa.array(items),
        "timestamp": pa.array(log.times),
        "rating": pa.array([float(1 + row % 5) for row in range(len(log))]),
    }
    for name in ("review", "summary", "explanation"):
        columns[name] = pa.array([f"{name} {texts[item]}" for item in items])
    return InteractionLog.from_table(pa.table(columns))


def talks(texts: Mapping[str, str]) -> Dialogues:
    """A conversation an item: it is asked for, and the next one is named."""
    items = list(texts)
    return Dialogues.from_rows(
        {
            "turns": [
                {"role": "user", "text": f"more like {texts[item]}", "item_ids": [item]},
                {"role": "assistant", "text": f"Take {texts[other]}!", "item_ids": [other]},
            ]
        }
        for item, other in zip(items, items[1:] + items[:1], strict=True)
    )


def titled(world: Any) -> dict[str, str]:
    return {item: world.items.title(item) for item in world.items.item_ids}


def build(world: Any, case: str, *, words: Any = None, **inputs: Any) -> Task:
    name: TaskName = case.split(" ")[0]  # type: ignore[assignment]
    log = reviewed(inputs.pop("log", world.log), titled(world))
    titles = titled(world)
    more = {"dialogues": talks(titles), "texts": [*titles.values()]} | inputs
    given = TaskInputs(world.catalog, world.items, log, **more)
    if words is not None:
        given = replace(given, queries=words, preferences=words)
    return build_tasks({name: TASKS[case]}, given)[name]


def rows(task: Task, builder: PromptBuilder, seeds: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    draws = ((index, seed) for index in range(len(task)) for seed in range(seeds))
    return [task.row(index, np.random.default_rng(seed), builder) for index, seed in draws]


def answers_of(world: Any) -> set[str]:
    """All that may be said: real IDs and true texts."""
    ids = {"".join(world.catalog.tokens(item)) for item in world.catalog.item_ids}
    titles = {world.items.title(item) for item in world.items.item_ids}
    rows = [world.items.row(item) for item in world.items.item_ids]
    descriptions = {row["description"] for row in rows if row["description"]}
    both = {f"{row['title']}\n{row['description']}" for row in rows}
    ids |= {f"Take {item}!" for item in ids}
    words = {f"{what} {title}" for what in ("things like", "summary", "explanation") for title in titles}
    return ids | titles | descriptions | both | words | {"yes", "no", *"12345"}


@pytest.mark.parametrize("case", ANSWERED)
def test_the_loss_sits_on_the_answer_alone_and_the_answer_is_whole(world: Any, case: str) -> None:
    builder = world.builder(prompted=case != "seqrec")
    task = build(world, case, words=Echo(world.items))
    allowed, end = answers_of(world), world.decoded(builder.end_ids)
    reserved = world.vocabulary.reserved_ids
    for ids, labels in rows(task, builder):
        learned = labels != IGNORED_LABEL
        assert ids.dtype == labels.dtype == np.int64
        assert (labels[learned] == ids[learned]).all()
        assert learned.any()
        assert learned.tolist() == sorted(learned.tolist())  # nothing stands behind the answer
        said = world.decoded(ids[learned])
        if case == "seqrec":  # every item of a packed row after the first is an answer
            assert len(ids) == 1 + 3 * ((learned.sum() // 3) + 1)
            found = {world.decoded(item) for item in ids[learned].reshape(-1, 3)}
        else:
            assert said.endswith(end)
            found = {said.removesuffix(end)}
            shown = ids[~learned]
            assert not np.isin(shown[np.isin(shown, reserved)], world.vocabulary.terminator_id).any()
        assert found <= allowed


@pytest.mark.parametrize("case", [case for case in ANSWERED if case != "seqrec"])
def test_no_answer_is_cut_however_short_a_row_must_be(world: Any, case: str) -> None:
    task = build(world, case, words=Echo(world.items))
    lengths = [len(ids) for ids, _ in rows(task, world.builder(), seeds=3)]
    tight = world.builder(max_length=int(np.quantile(lengths, 0.9)))
    whole = rows(task, world.builder(), seeds=3)
    cut = 0
    for index, (ids, labels) in enumerate(whole):
        row, seed = divmod(index, 3)
        try:
            short, short_labels = task.row(row, np.random.default_rng(seed), tight)
        except Exception as error:
            assert "does not fit the length limit" in str(error)  # noqa: PT017
            continue
        assert len(short) <= tight.max_length
        assert short[short_labels != IGNORED_LABEL].tolist() == ids[labels != IGNORED_LABEL].tolist()
        cut += len(short) < len(ids)
    assert cut or case in ("index2item", "review")  # whose prompts may hold nothing to cut


def check_tokens(world: Any, case: str, task: Task, seed: int) -> None:
    """Every added token of a row is one of the frame's, or part of a real item's ID."""
    builder = world.builder(prompted=case != "seqrec")
    known = {"".join(world.catalog.tokens(item)) for item in world.catalog.item_ids}
    added = list(world.text_tokenizer.get_added_vocab().values())
    frame = 1 if case == "seqrec" else 4 if world.text_tokenizer.chat_template and case != "text" else 2
    for index in range(0, len(task), 3):
        ids, _ = task.row(index, np.random.default_rng(seed), builder)
        reserved = np.isin(ids, world.vocabulary.reserved_ids)
        assert (np.isin(ids, added) & ~reserved).sum() == frame
        assert {world.decoded(item) for item in ids[reserved].reshape(-1, 3)} <= known


@settings(max_examples=15)
@given(texts=st.lists(hostile, min_size=24, max_size=24), seed=st.integers(0, 1 << 30))
@pytest.mark.parametrize("case", TASKS)
def test_smuggled_tokens_never_become_tokens(world: Any, case: str, texts: list[str], seed: int) -> None:
    table = [
        {"item_id": f"i{row}", "title": f"t{text}", "description": text} for row, text in enumerate(texts)
    ]
    attacked = replace(world, items=ItemTable.from_rows(table))
    check_tokens(attacked, case, build(attacked, case, words=Echo(attacked.items)), seed)


@pytest.mark.parametrize("case", ["itemsearch", "preferenceobtain"])
def test_attributes_smuggle_no_tokens_either(world: Any, case: str) -> None:
    table = [
        {
            **world.items.row(item),
            "brand": SPECIAL[row % 6],
            "categories": ["x", f"k{row % 3} {SPECIAL[row % 5]}"],
        }
        for row, item in enumerate(world.items.item_ids)
    ]
    attacked = replace(world, items=ItemTable.from_rows(table))
    for seed in range(10):
        check_tokens(attacked, case, build(attacked, case), seed)


@pytest.mark.parametrize("case", ANSWERED)
def test_held_out_items_occur_in_no_prompt_and_no_answer(make_world: Callable[..., Any], case: str) -> None:
    plain = make_world(chat=False)
    table = [
        {"item_id": f"i{n}", "title": f"name{n}x", "description": f"about{n}x", "brand": f"brand{n}x"}
        for n in range(24)
    ]
    world = replace(plain, items=ItemTable.from_rows(table))
    held_out = ["i1", "i4", "i9", "i13", "i20", "never seen"]
    task = build(world, case, words=Echo(world.items), held_out=held_out)
    builder = world.builder(prompted=case != "seqrec")
    shown = " ".join(world.decoded(ids) for ids, _ in rows(task, builder, seeds=12))
    by_attributes = build(world, case, held_out=held_out)
    shown += " ".join(world.decoded(ids) for ids, _ in rows(by_attributes, builder))
    for number in range(24):
        marks = [
            f"name{number}x",
            f"about{number}x",
            f"brand{number}x",
            "".join(world.catalog.tokens(f"i{number}")),
        ]
        if f"i{number}" in held_out:
            assert not [mark for mark in marks if mark in shown]
        elif case != "itemsearch" and f"i{number}" in world.log.item_ids:
            assert [mark for mark in marks if mark in shown], number  # the check can see items


@pytest.mark.parametrize(
    "case", ["seqrec", "seqrec prompted", "fusionseqrec", "itemsearch", "preferenceobtain"]
)
def test_no_row_of_a_user_names_the_users_validation_or_test_item(
    make_world: Callable[..., Any], case: str
) -> None:
    plain = make_world(chat=False)
    table = [{"item_id": f"i{n}", "title": f"name{n}x", "description": f"about{n}x"} for n in range(24)]
    world = replace(plain, items=ItemTable.from_rows(table))
    log = InteractionLog.from_rows(  # a user's items are the user's own
        {"user_id": f"u{user}", "item_id": f"i{6 * user + time}", "timestamp": time}
        for user in range(4)
        for time in range(6)
    )
    split = log.leave_one_out()
    task = build(world, case, words=Echo(world.items), log=split.train)
    builder = world.builder(prompted=case != "seqrec")
    assert len(task) == 4
    for user in range(4):
        shown = " ".join(
            world.decoded(task.row(user, np.random.default_rng(seed), builder)[0]) for seed in range(30)
        )
        seen = {
            n for n in range(24) if f"name{n}x" in shown or "".join(world.catalog.tokens(f"i{n}")) in shown
        }
        assert not seen & {6 * user + 4, 6 * user + 5}
        if case not in ("sequential", "direct"):  # which show other users' items as wrong answers
            assert seen <= set(range(6 * user, 6 * user + 4))
        assert len(seen) >= 3


@pytest.mark.parametrize("case", TASKS)
def test_rows_are_a_function_of_seed_epoch_and_index_alone(world: Any, case: str) -> None:
    builder = world.builder(prompted=case != "seqrec")

    def mixture(seed: int) -> TaskMixture:
        return TaskMixture(world.catalog, [build(world, case)], seed=seed)

    def read(
        mixture: TaskMixture, epoch: int, order: Sequence[int], builder: PromptBuilder
    ) -> dict[int, Any]:
        return {i: [v.tolist() for v in mixture.row(i, epoch, builder).values()] for i in order}

    whole = range(len(mixture(0)))
    at_once = read(mixture(0), 2, whole, builder)
    fresh = copy.deepcopy(mixture(0))
    shares: dict[int, Any] = {}
    for process in range(8):  # each with a builder of its own, in another order
        other = world.builder(prompted=case != "seqrec")
        shares |= read(fresh, 2, [i for i in reversed(whole) if i % 8 == process], other)
    assert shares == at_once
    if case not in ("seqrec", "text"):  # short packed rows and plain texts have nothing to draw
        assert read(mixture(0), 3, whole, builder) != at_once
        assert read(mixture(1), 2, whole, builder) != at_once
