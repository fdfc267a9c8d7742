"""LC-Rec's six tasks: what each shows and asks, which forms there are, what is left out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from genrec.data import InteractionLog, ItemTable
from genrec.errors import DataError
from genrec.tasks import (
    IGNORED_LABEL,
    FusionSeqRec,
    Index2Item,
    Item2Index,
    ItemSearch,
    ItemTexts,
    PreferenceObtain,
    PromptedSeqRec,
    Sequences,
    Targets,
    TaskMixture,
)
from genrec.tasks.text_sources import RememberedPreferences


class Words:
    """Queries and preferences that say what they were made of."""

    def __init__(self, silent: Sequence[str] = ()) -> None:
        self.silent = set(silent)
        self.asked: Counter[str] = Counter()

    def queries(self, item_id: str) -> tuple[str, ...]:
        self.asked[item_id] += 1
        return () if item_id in self.silent else (f"wanted: {item_id}.", " ", f"also {item_id}.")

    def preference(self, history: Sequence[str]) -> str:
        return "" if set(history) & self.silent else f"likes {' '.join(history)}."


def ask(world: Any, task: Any, index: int, seed: int, **options: Any) -> tuple[str, str]:
    """Prompt and answer of a row as texts."""
    ids, labels = task.row(index, np.random.default_rng(seed), world.builder(**options))
    learned = labels != IGNORED_LABEL
    return world.decoded(ids[~learned]), world.decoded(ids[learned])


def name(world: Any, *rows: int) -> str:
    return "".join("".join(world.catalog.tokens(world.catalog.item_ids[row])) for row in rows)


def sequences_of(world: Any, **options: Any) -> Sequences:
    return Sequences.from_log(world.catalog, world.log, **options)


def test_sequences_hold_the_log_and_leave_held_out_items_out(world: Any) -> None:
    whole = sequences_of(world)
    names = np.array(world.catalog.item_ids)
    for user, user_id in enumerate(world.log.user_ids):
        span = slice(int(whole.offsets[user]), int(whole.offsets[user + 1]))
        assert names[whole.rows[span]].tolist() == world.log.history(user_id)
    hidden = {"i3", "i7", "nothing"}
    part = sequences_of(world, held_out=hidden)
    for user, user_id in enumerate(world.log.user_ids):
        span = slice(int(part.offsets[user]), int(part.offsets[user + 1]))
        expected = [item for item in world.log.history(user_id) if item not in hidden]
        assert names[part.rows[span]].tolist() == expected
        assert [world.log.item_ids[world.log.items[p]] for p in part.positions[span]] == expected
    assert len(part.rows) < len(whole.rows)


def test_targets_are_drawn_from_the_eligible_with_what_came_before(world: Any) -> None:
    sequences = sequences_of(world)
    eligible = sequences.rows % 2 == 0
    targets = Targets(sequences, eligible, max_history=3)
    seen = {targets.draw(i, np.random.default_rng(s)).index for i in range(len(targets)) for s in range(60)}
    assert seen == set(np.flatnonzero(eligible & ~sequences.starts).tolist())
    for index in range(len(targets)):
        drawn = targets.draw(index, np.random.default_rng(index))
        user = int(np.searchsorted(sequences.offsets, drawn.index, side="right")) - 1
        before = sequences.rows[sequences.offsets[user] : drawn.index]
        assert drawn.history.tolist() == before[-3:].tolist()
        assert drawn.target == sequences.rows[drawn.index]
    with_first = Targets(sequences, eligible, first=True)
    assert len(with_first.places) == int(eligible.sum())
    with pytest.raises(DataError, match="no user has a wish"):
        Targets(sequences, np.zeros(len(sequences.rows), dtype=bool), what="a wish")


def test_prompted_seqrec_asks_for_any_next_item_of_a_user(world: Any) -> None:
    task = PromptedSeqRec(world.catalog.codes, sequences_of(world), max_history=4)
    user = world.log.user_ids.index("u8")
    history = world.catalog.rows(world.log.history("u8")).tolist()
    index = task.targets.user_starts.tolist().index(world.log.offsets[user])
    asked = Counter(ask(world, task, index, seed) for seed in range(300))
    end = world.decoded(world.builder().end_ids)
    answers = {answer for _, answer in asked}
    assert answers == {name(world, row) + end for row in history[1:]}
    for prompt, answer in asked:
        places = [p for p in range(1, len(history)) if answer == name(world, history[p]) + end]
        assert any(name(world, *history[max(0, p - 4) : p]) in prompt for p in places)


@pytest.mark.parametrize("task_class", [Item2Index, Index2Item])
def test_items_and_their_texts_stand_for_each_other(world: Any, task_class: Any) -> None:
    task = task_class(ItemTexts(world.catalog, world.items))
    assert len(task) == len(world.items)
    end = world.decoded(world.builder().end_ids)
    for index in (0, 7, 13):
        row = int(task.forms.rows[index])
        facts = world.items.row(world.catalog.item_ids[row])
        shown = set()
        for seed in range(60):
            prompt, answer = ask(world, task, index, seed)
            text, code = (prompt, answer) if task_class is Item2Index else (answer, prompt)
            assert name(world, row) in code
            parts = (facts["title"] in text, bool(facts["description"]) and facts["description"] in text)
            shown.add(parts)
            expected = {
                (True, False): facts["title"],
                (False, True): facts["description"],
                (True, True): f"{facts['title']}\n{facts['description']}",
            }
            if task_class is Index2Item:
                assert answer == expected[parts] + end
            else:
                assert answer == name(world, row) + end
        wanted = {(True, False), (False, True), (True, True)} if facts["description"] else {(True, False)}
        assert shown == wanted


def test_answers_are_left_out_where_they_are_too_long_and_never_cut(world: Any) -> None:
    texts = ItemTexts(world.catalog, world.items)
    longest = int(texts.column("description").lengths().max())
    shorter = Index2Item(texts, max_characters=longest - 1)
    whole = Index2Item(texts, max_characters=longest)
    assert shorter.forms.masks.sum() < whole.forms.masks.sum()
    fusion = FusionSeqRec(texts, sequences_of(world), max_characters=longest - 1)
    assert not (fusion.has_description & (texts.column("description").lengths() >= longest)).any()


def test_fusion_mixes_histories_and_texts_in_three_forms(world: Any) -> None:
    task = FusionSeqRec(ItemTexts(world.catalog, world.items), sequences_of(world), max_history=4)
    end = world.decoded(world.builder().end_ids)
    ids = {name(world, row) + end: row for row in range(len(world.catalog))}
    by = {
        field: {world.items.row(item)[field] + end: row for row, item in enumerate(world.catalog.item_ids)}
        for field in ("title", "description")
    }
    forms: Counter[str] = Counter()
    histories = [history for history in map(world.log.history, world.log.user_ids) if len(history) > 1]
    assert len(task) == len(histories)
    for index, history in enumerate(histories):
        rows = world.catalog.rows(history).tolist()
        for seed in range(12):
            prompt, answer = ask(world, task, index, seed)
            if answer in ids:
                form, target = "titles", ids[answer]
            else:
                form = "title" if answer in by["title"] else "description"
                target = by[form][answer]
            forms[form] += 1
            windows = [rows[max(0, p - 4) : p] for p in range(1, len(rows)) if rows[p] == target]
            titles = ["\n".join(world.items.title(world.catalog.item_ids[r]) for r in w) for w in windows]
            expected = titles if form == "titles" else [name(world, *w) for w in windows]
            assert any(text in prompt for text in expected)
    assert set(forms) == {"titles", "title", "description"}
    assert min(forms.values()) > 15


def test_search_asks_with_queries_of_the_target_and_preferences_of_the_past(world: Any) -> None:
    source = Words(silent=["i2", "i4"])
    task = ItemSearch(world.catalog, sequences_of(world), source, Words(), max_history=4)
    assert max(source.asked.values()) == 1
    end = world.decoded(world.builder().end_ids)
    ids = {name(world, row) + end: item for row, item in enumerate(world.catalog.item_ids)}
    histories = [world.log.history(user) for user in world.log.user_ids]
    forms: Counter[tuple[bool, bool, bool]] = Counter()
    for index in range(len(task)):
        for seed in range(30):
            prompt, answer = ask(world, task, index, seed)
            item = ids[answer]
            assert item not in source.silent
            query = f"wanted: {item}." in prompt or f"also {item}." in prompt
            told = "likes i" in prompt
            if told:
                before = prompt.partition("likes ")[2].partition(".")[0]
                assert any(f"{before} {item}" in " ".join(history) for history in histories)
            shown = "><b_" in prompt
            forms[query, shown, told] += 1
    assert set(forms) == {(True, False, False), (True, True, False), (True, False, True), (False, True, True)}


def test_search_without_preferences_has_the_forms_with_queries_only(world: Any) -> None:
    task = ItemSearch(world.catalog, sequences_of(world), Words())
    prompts = [ask(world, task, i, seed)[0] for i in range(len(task)) for seed in range(10)]
    assert all("wanted: " in prompt or "also " in prompt for prompt in prompts)
    assert not any("likes" in prompt for prompt in prompts)
    silent = Words(silent=world.items.item_ids)
    with pytest.raises(DataError, match="no user has chosen an item that has queries"):
        ItemSearch(world.catalog, sequences_of(world), silent)


def test_preferences_are_asked_of_the_history_shown(world: Any) -> None:
    task = PreferenceObtain(world.catalog, sequences_of(world), Words(), max_history=3)
    end = world.decoded(world.builder().end_ids)
    lengths = set()
    for index in range(len(task)):
        for seed in range(10):
            prompt, answer = ask(world, task, index, seed)
            items = answer.removeprefix("likes ").removesuffix("." + end).split(" ")
            lengths.add(len(items))
            assert name(world, *world.catalog.rows(items).tolist()) in prompt
    assert lengths == {2, 3}


def test_a_user_of_whom_nothing_is_said_gives_way_to_the_next(world: Any) -> None:
    sequences = sequences_of(world)
    silent = world.log.history("u1")
    task = PreferenceObtain(world.catalog, sequences, Words(silent=silent))
    end = world.decoded(world.builder().end_ids)
    _, answer = ask(world, task, 0, 0)
    assert not set(silent) & set(answer.removeprefix("likes ").removesuffix("." + end).split(" "))
    with pytest.raises(DataError, match="says nothing of these users"):
        PreferenceObtain(world.catalog, sequences, Words(silent=world.items.item_ids))
    task.preferences = RememberedPreferences(Words(silent=world.items.item_ids), world.catalog)
    with pytest.raises(DataError, match="says nothing of any of many users"):
        ask(world, task, 0, 0)


def test_a_preference_is_asked_for_once_a_history(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    class Counting(Words):
        def preference(self, history: Sequence[str]) -> str:
            asked.append(tuple(history))
            return super().preference(history)

    task = PreferenceObtain(world.catalog, sequences_of(world), Counting(), max_history=3)
    answers = [ask(world, task, index, seed) for index in range(len(task)) for seed in range(20)]
    places = len(sequences_of(world).rows) - len(world.log.user_ids)
    assert len(asked) <= places < len(answers)
    monkeypatch.setattr("genrec.tasks.text_sources.REMEMBERED", 1)
    task.preferences = RememberedPreferences(Counting(), world.catalog)
    assert [ask(world, task, index, seed) for index in range(len(task)) for seed in range(20)] == answers
    assert len(task.preferences._known) == 1


def without(world: Any, *columns: str) -> Any:
    return replace(world, items=ItemTable(world.items.table.drop_columns(list(columns))))


def test_forms_whose_column_is_missing_are_left_out_and_named(
    make_world: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    world = without(make_world(), "description")
    with caplog.at_level(logging.WARNING, logger="genrec"):
        texts = ItemTexts(world.catalog, world.items)
        tasks = [Item2Index(texts), Index2Item(texts), FusionSeqRec(texts, sequences_of(world))]
    assert [record.message for record in caplog.records] == [
        "the item table has no description: forms of tasks that need it are left out "
        "(its columns: item_id, title, brand, categories, price)"
    ]
    for task in tasks:
        for seed in range(20):
            assert "What is said of" not in "".join(ask(world, task, 2, seed))


def test_a_task_without_any_column_says_which_it_needs(make_world: Callable[..., Any]) -> None:
    rows = [{"item_id": f"i{row}", "title": "", "brand": "b"} for row in range(24)]
    world = make_world(items=ItemTable.from_rows(rows))
    texts = ItemTexts(world.catalog, world.items)
    with pytest.raises(DataError, match="no item has a title or a description to tell its ID by"):
        Item2Index(texts)
    with pytest.raises(DataError, match="no item has a title or a description to be told"):
        Index2Item(texts)
    with pytest.raises(DataError, match="no user has a next item of which something is written"):
        FusionSeqRec(texts, sequences_of(world))
    with pytest.raises(DataError, match="the item table has no title"):
        texts.shown("title", [0])


def test_items_without_a_title_are_passed_over_in_titles_of_a_history(make_world: Callable[..., Any]) -> None:
    rows = [{"item_id": f"i{row}", "title": f"T{row}." if row % 2 else ""} for row in range(24)]
    world = make_world(items=ItemTable.from_rows(rows), users=30)
    texts = ItemTexts(world.catalog, world.items)
    task = FusionSeqRec(texts, sequences_of(world))
    for index in range(len(task)):
        for seed in range(10):
            prompt, answer = ask(world, task, index, seed)
            assert "\n\n" not in prompt
            assert answer.startswith(("T", "<a_"))
    assert len(Item2Index(texts)) == 12


def test_seqrec_in_two_forms(world: Any) -> None:
    packed = TaskMixture.seqrec(world.catalog, world.log, held_out=["i5"])
    assert packed.template is None
    prompted = TaskMixture.seqrec(world.catalog, world.log, form="prompted", held_out=["i5"])
    assert prompted.template is not None
    assert prompted.template.slots == {"history", "item"}
    for mixture in (packed, prompted):
        for index in range(len(mixture)):
            ids = mixture.row(index, 0, world.builder(prompted=mixture is prompted))["input_ids"]
            assert name(world, *world.catalog.rows(["i5"])) not in world.decoded(ids)
    with pytest.raises(DataError, match="unknown form of seqrec"):
        TaskMixture.seqrec(world.catalog, world.log, form="other")  # type: ignore[arg-type]


def test_held_out_wordings_are_in_no_training_row(world: Any) -> None:
    task = PromptedSeqRec(world.catalog.codes, sequences_of(world))
    held_out = task.form.held_out.prompt.splitlines()[0]
    training = [ask(world, task, 0, seed)[0] for seed in range(50)]
    assert not any(held_out in prompt for prompt in training)
    assert all(held_out in ask(world, task, 0, seed, held_out=True)[0] for seed in range(5))


def test_an_empty_log_has_no_targets(world: Any) -> None:
    log = InteractionLog.from_rows([{"user_id": "u", "item_id": "i1"}])
    with pytest.raises(DataError, match="two items to be described by"):
        PreferenceObtain(world.catalog, Sequences.from_log(world.catalog, log), Words())
