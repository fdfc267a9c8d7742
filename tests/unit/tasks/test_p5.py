"""P5's five tasks: what each shows and asks, which columns it needs, what is left out."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from genrec.data import InteractionLog, SyntheticWorld
from genrec.errors import DataError
from genrec.tasks import IGNORED_LABEL, Direct, Explanation, Rating, Review, Sequences, Sequential
from genrec.tasks.reviews import has_column
from genrec.tasks.sequences import other_items


def reviewed(log: InteractionLog, **texts: Any) -> InteractionLog:
    """The log with columns of reviews; a text is given by the interaction's number."""
    rows = []
    for number, row in enumerate(log.table.to_pylist()):
        rows.append(row | {name: value(number) for name, value in texts.items()})
    return InteractionLog.from_rows(rows)


def ask(world: Any, task: Any, index: int, seed: int, **options: Any) -> tuple[str, str]:
    """Prompt and answer of a row as texts, the answer without the end of its turn."""
    ids, labels = task.row(index, np.random.default_rng(seed), world.builder(**options))
    learned = labels != IGNORED_LABEL
    answer = world.decoded(ids[learned]).removesuffix("<|im_end|>").removesuffix("<|eos|>")
    return world.decoded(ids[~learned]), answer


def shown(world: Any, text: str) -> list[str]:
    """Items whose Semantic IDs stand in a text, in order."""
    found = re.findall(r"((?:<[a-c]_\d+>){3})", text)
    items = [world.catalog.item(re.findall(r"<[a-c]_\d+>", tokens)) for tokens in found]
    return items


@pytest.fixture(scope="module")
def log(world: Any) -> InteractionLog:
    """Every third interaction has no rating, every fourth no text."""
    return reviewed(
        world.log,
        rating=lambda n: None if n % 3 == 0 else 1.0 + (n + 1) % 9 / 2,
        explanation=lambda n: "" if n % 4 == 0 else f"Because of {n}.",
        summary=lambda n: "" if n % 4 == 1 else f"In short {n}",
        review=lambda n: None if n % 4 == 2 else f"At length {n}. " * (1 if n % 5 else 80),
    )


def test_rating_asks_for_the_rating_of_an_item_after_its_history(world: Any, log: InteractionLog) -> None:
    task = Rating(world.catalog, Sequences.from_log(world.catalog, log), log, max_history=4)
    assert task.ratings.scale == ("1", "5")
    answers = set()
    histories = [log.history(user) for user in log.user_ids]
    for index in range(len(task)):
        for seed in range(6):
            prompt, answer = ask(world, task, index, seed)
            items = shown(world, prompt)
            drawn = task.targets.draw(index, np.random.default_rng(seed))
            target = world.catalog.item_ids[drawn.target]
            assert Counter(items) == Counter([target, *(world.catalog.item_ids[r] for r in drawn.history)])
            assert 1 <= len(drawn.history) <= 4
            run = [*(world.catalog.item_ids[r] for r in drawn.history), target]
            assert any(h[i : i + len(run)] == run for h in histories for i in range(len(h)))
            assert float(answer) == log.table.column("rating")[drawn.index].as_py()
            assert "(1-5)" in prompt
            answers.add(answer)
    assert {"2.5", "4"} <= answers
    assert task.num_targets == 0


def test_sequential_asks_for_the_next_item_or_whether_it_is_one(world: Any) -> None:
    sequences = Sequences.from_log(world.catalog, world.log)
    task = Sequential(world.catalog, sequences, max_history=5)
    histories = [world.log.history(user) for user in world.log.user_ids]
    kinds: Counter[str] = Counter()
    for index in range(len(task)):
        taken = {world.catalog.item_ids[row] for row in task.targets.taken(index)}
        for seed in range(100 * index, 100 * index + 20):
            prompt, answer = ask(world, task, index, seed)
            items = shown(world, prompt)
            if answer in ("yes", "no"):
                kinds[answer] += 1
                drawn = task.targets.draw(index, np.random.default_rng(seed))
                after = world.catalog.item_ids[drawn.target]
                own = [world.catalog.item_ids[row] for row in drawn.history]
                (asked,) = Counter(items) - Counter(own) or Counter([after])
                assert (asked == after) if answer == "yes" else (asked not in taken)
            else:
                kinds["next"] += 1
                (item,) = shown(world, answer)
                run = [*items, item]
                assert any(h[i : i + len(run)] == run for h in histories for i in range(len(h)))
                assert 1 <= len(items) <= 5
    assert min(kinds["yes"], kinds["no"]) > 2
    assert kinds["next"] > 3 * (kinds["yes"] + kinds["no"]) / 2


def test_direct_shows_the_right_item_among_others_in_any_place(world: Any) -> None:
    sequences = Sequences.from_log(world.catalog, world.log)
    task = Direct(world.catalog, sequences, num_candidates=6, max_history=3)
    places: Counter[int] = Counter()
    for index in range(len(task)):
        taken = {world.catalog.item_ids[row] for row in task.targets.taken(index)}
        for seed in range(10):
            drawn = task.targets.draw(index, np.random.default_rng(seed))
            prompt, answer = ask(world, task, index, seed)
            (item,) = shown(world, answer)
            history = [world.catalog.item_ids[row] for row in drawn.history]
            assert item == world.catalog.item_ids[drawn.target]
            items = shown(world, prompt)
            start = next(i for i in range(len(items)) if items[i : i + len(history)] == history)
            candidates = items[:start] + items[start + len(history) :]
            assert len(candidates) == len(set(candidates)) == 6
            assert candidates.count(item) == 1
            assert not (set(candidates) - {item}) & taken
            places[candidates.index(item)] += 1
    assert set(places) == set(range(6))
    assert max(places.values()) < 3 * min(places.values()) + 10


def test_direct_keeps_its_candidates_when_the_history_is_cut(world: Any) -> None:
    sequences = Sequences.from_log(world.catalog, world.log)
    task = Direct(world.catalog, sequences, num_candidates=5)
    longest = max(range(len(task)), key=lambda index: len(task.targets.taken(index)))
    for seed in range(20):
        ids = task.row(longest, np.random.default_rng(seed), world.builder())[0]
        history = len(task.targets.draw(longest, np.random.default_rng(seed)).history)
        prompt, answer = ask(world, task, longest, seed, max_length=len(ids) - 3 * (history - 1))
        items = shown(world, prompt)
        assert len(items) == 6  # the newest of the history and five candidates
        assert shown(world, answer)[0] in items


def test_other_items_are_distinct_and_not_the_user_s_own() -> None:
    rng = np.random.default_rng(0)
    pool, taken = np.arange(3, 40), np.array([5, 5, 7, 100])
    seen: set[int] = set()
    for _ in range(200):
        others = other_items(pool, taken, 9, rng)
        assert len(others) == len(set(others.tolist())) == 9
        seen |= set(others.tolist())
    assert seen == set(range(3, 40)) - {5, 7}
    assert sorted(other_items(np.array([1, 2, 3]), np.array([2]), 9, rng).tolist()) == [1, 3]
    assert len(other_items(np.array([2]), np.array([2]), 9, rng)) == 0


def test_explanation_gives_the_user_s_own_words(world: Any, log: InteractionLog) -> None:
    task = Explanation(world.catalog, Sequences.from_log(world.catalog, log), log)
    rated = 0
    for index in range(len(task)):
        for seed in range(8):
            prompt, answer = ask(world, task, index, seed)
            drawn = task.targets.draw(index, np.random.default_rng(seed))
            row = log.table.slice(drawn.index, 1).to_pylist()[0]
            assert answer == row["explanation"] != ""
            items = [world.catalog.item_ids[r] for r in drawn.history]
            assert Counter(shown(world, prompt)) == Counter([*items, row["item_id"]])
            if "/5)" in prompt:
                rated += 1
                assert f"({row['rating']:g}/5)" in prompt
    assert rated > 5


def test_review_sums_up_or_rates(world: Any, log: InteractionLog) -> None:
    task = Review(world.catalog, Sequences.from_log(world.catalog, log), log)
    forms: Counter[tuple[bool, str]] = Counter()
    for index in range(len(task)):
        for seed in range(16):
            prompt, answer = ask(world, task, index, seed)
            drawn = task.targets.draw(index, np.random.default_rng(seed))
            row = log.table.slice(drawn.index, 1).to_pylist()[0]
            assert shown(world, prompt) == [row["item_id"]]
            assert row["summary"] not in prompt
            review = (row["review"] or "").strip()
            has_review = bool(review) and review in prompt
            if answer == row["summary"]:
                forms[has_review, "summary"] += 1
            else:
                assert has_review
                assert float(answer) == row["rating"]
                forms[has_review, "rating"] += 1
    assert set(forms) == {(True, "summary"), (False, "summary"), (True, "rating")}
    assert min(forms.values()) > 5


def test_long_texts_are_no_answers(world: Any) -> None:
    log = reviewed(
        world.log, explanation=lambda n: "long " * 200 if n % 2 else "short", summary=lambda n: "x" * n
    )
    sequences = Sequences.from_log(world.catalog, log)
    explanation = Explanation(world.catalog, sequences, log, max_characters=100)
    review = Review(world.catalog, sequences, log, max_characters=20)
    for seed in range(40):
        assert ask(world, explanation, seed % len(explanation), seed)[1] == "short"
        assert 0 < len(ask(world, review, seed % len(review), seed)[1]) <= 20


@pytest.mark.parametrize(
    ("task", "column"), [(Rating, "rating"), (Explanation, "explanation"), (Review, "summary")]
)
def test_a_missing_or_empty_column_is_named(world: Any, task: Any, column: str) -> None:
    sequences = Sequences.from_log(world.catalog, world.log)
    with pytest.raises(
        DataError, match=f"the task {task.name} needs the column {column} .*does not have"
    ) as caught:
        task(world.catalog, sequences, world.log)
    assert "received: columns user_id, item_id, timestamp" in str(caught.value)
    assert f"leave the task {task.name} out" in str(caught.value)
    empty = reviewed(world.log, rating=lambda n: None, explanation=lambda n: " ", summary=lambda n: "")
    with pytest.raises(DataError, match="there is nothing in it"):
        task(world.catalog, sequences, empty)
    assert not has_column(empty, column)


def test_a_column_of_numbers_is_no_text(world: Any) -> None:
    log = reviewed(world.log, explanation=lambda n: n)
    with pytest.raises(DataError, match="holds no texts"):
        Explanation(world.catalog, Sequences.from_log(world.catalog, log), log)


def test_one_candidate_is_no_choice(world: Any) -> None:
    with pytest.raises(DataError, match="a choice needs two candidates"):
        Direct(world.catalog, Sequences.from_log(world.catalog, world.log), num_candidates=1)


def test_all_five_run_on_the_synthetic_world(make_world: Any) -> None:
    synthetic = SyntheticWorld.generate(seed=0, num_items=100, num_users=30)
    world = make_world(items=synthetic.items)
    log = synthetic.interactions.leave_one_out().train
    sequences = Sequences.from_log(world.catalog, log)
    tasks = [
        Rating(world.catalog, sequences, log),
        Sequential(world.catalog, sequences),
        Explanation(world.catalog, sequences, log),
        Review(world.catalog, sequences, log),
        Direct(world.catalog, sequences),
    ]
    for task in tasks:
        assert len(task) == 30
        prompt, answer = ask(world, task, 3, 0)
        assert shown(world, prompt)
        assert answer
        assert "u0000" not in prompt + answer


def test_the_columns_survive_a_split(world: Any, log: InteractionLog) -> None:
    train = log.leave_one_out().train
    sequences = Sequences.from_log(world.catalog, train, held_out=["i3", "i5"])
    task = Explanation(world.catalog, sequences, train)
    held = {world.catalog.rows([item])[0] for item in ("i3", "i5")}
    for index in range(len(task)):
        drawn = task.targets.draw(index, np.random.default_rng(index))
        row = train.table.slice(int(sequences.positions[drawn.index]), 1).to_pylist()[0]
        assert world.catalog.rows([row["item_id"]])[0] == drawn.target
        assert drawn.target not in held
        assert ask(world, task, index, index)[1] == row["explanation"]


def test_chunked_tables_are_not_needed(log: InteractionLog) -> None:
    assert all(column.num_chunks == 1 for column in log.table.columns)
    assert pa.types.is_float32(log.table.column("rating").type)
