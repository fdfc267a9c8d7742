"""dialogue: replies with Semantic IDs in place of titles, after what was said before."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrec.catalog import Catalog
from genrec.data import Dialogues, ItemTable
from genrec.errors import DataError
from genrec.semantic_ids import SemanticIdSpec
from genrec.tasks import IGNORED_LABEL, Codes, DialogueReply, Untrusted
from genrec.tasks.dialogue import with_ids

TITLES = ["Alien (1979)", "Aliens (1986)", "It (2017)", "Up", "The Thing", "<a_1> Story"]


@pytest.fixture(scope="module")
def films(make_world: Any) -> Any:
    items = ItemTable.from_rows({"item_id": f"i{n}", "title": title} for n, title in enumerate(TITLES))
    return make_world(items=items)


def talk(*turns: tuple[str, str, list[str]]) -> dict[str, Any]:
    roles = {"u": "user", "a": "assistant"}
    return {"turns": [{"role": roles[role], "text": text, "item_ids": items} for role, text, items in turns]}


TALK = talk(
    ("a", "Hello!", []),
    ("u", "Something like Alien (1979)?", ["i0"]),
    ("u", "Or so.", []),
    ("a", "Try Aliens (1986), or the thing.", ["i1", "i4"]),
    ("u", "Seen it.", []),
    ("a", "Then Up!", ["i3"]),
    ("u", "Bye", []),
)


def said(world: Any, task: DialogueReply, index: int, seed: int = 0, **options: Any) -> tuple[str, str]:
    ids, labels = task.row(index, np.random.default_rng(seed), world.builder(**options))
    learned = labels != IGNORED_LABEL
    answer = world.decoded(ids[learned]).removesuffix("<|im_end|>").removesuffix("<|eos|>")
    return world.decoded(ids[~learned]), answer


def id_of(world: Any, item: str) -> str:
    return "".join(world.catalog.tokens(item))


def test_replies_name_items_by_their_ids_in_place(films: Any) -> None:
    task = DialogueReply(films.catalog, films.items, Dialogues.from_rows([TALK]))
    assert len(task) == 2
    assert task.num_targets == 3
    prompts, answers = zip(*(said(films, task, index) for index in range(2)), strict=True)
    assert answers[0] == f"Try {id_of(films, 'i1')}, or {id_of(films, 'i4')}."
    assert answers[1] == f"Then {id_of(films, 'i3')}!"
    for prompt in prompts:
        assert "Something like Alien (1979)?\nOr so." in prompt
        assert "Hello!" not in prompt
    assert "Try" not in prompts[0]
    assert answers[0] in prompts[1]
    assert "Seen it." in prompts[1]
    assert "Then" not in prompts[1]


def test_the_oldest_turns_go_and_the_user_stays_first(films: Any) -> None:
    long = [(("u", f"Question {n}.", []), ("a", f"Reply {n}.", [])) for n in range(6)]
    dialogues = Dialogues.from_rows([talk(*(turn for pair in long for turn in pair))])
    for max_turns, kept in ((1, 1), (2, 1), (3, 3), (4, 3), (7, 7), (50, 11)):
        task = DialogueReply(films.catalog, films.items, dialogues, max_turns=max_turns)
        prompt, answer = said(films, task, 5)
        assert answer == "Reply 5."
        assert prompt.count("Question") + prompt.count("Reply ") == kept
        assert "Question 5." in prompt


@pytest.mark.parametrize(
    ("text", "items", "expected"),
    [
        ("Alien (1979) and Aliens (1986)", [0, 1], ["i0", " and ", "i1"]),
        ("alien (1979)!", [0], ["i0", "!"]),
        ("See Alien or ALIENS", [0, 1], ["See ", "i0", " or ", "i1"]),
        ("Aliens", [0], ["Aliens"]),  # part of a word is not the title
        ("It is good: It (2017).", [2], ["It is good: ", "i2", "."]),
        ("Have you seen It", [2], ["Have you seen It"]),  # too common a word to be told from it
        ("Up goes up", [3], ["i3", " goes up"]),
        ("What goes up", [3], ["What goes up"]),
        ("THE THING, The Thing", [4], ["THE THING, ", "i4"]),  # as it is written comes first
        ("Not named", [0, 4], ["Not named"]),
        ("  The Thing  ", [4], ["i4"]),
        ("<a_1> Story <b_2>", [5], ["i5", " <b_2>"]),
        ("", [0], []),
    ],
)
def test_titles_are_found_as_whole_words(
    films: Any, text: str, items: list[int], expected: list[str]
) -> None:
    rows = films.catalog.rows([f"i{item}" for item in items])
    named = {TITLES[item]: films.catalog.codes[[row]] for item, row in zip(items, rows, strict=True)}
    of_codes = {tuple(films.catalog.codes[row]): item for row, item in enumerate(films.catalog.item_ids)}
    found = [
        of_codes[tuple(s.codes[0])] if isinstance(s, Codes) else s.text
        for s in with_ids(text, named)
        if isinstance(s, Codes | Untrusted)
    ]
    assert found == expected


def test_the_longer_title_wins() -> None:
    named = {"The Thing": np.array([[0]]), "The Thing from Another World": np.array([[1]])}
    segments = with_ids("The Thing from Another World", named)
    assert [s.codes.tolist() for s in segments if isinstance(s, Codes)] == [[[1]]]


def test_rows_that_show_or_name_a_held_out_item_are_left_out(films: Any) -> None:
    dialogues = Dialogues.from_rows([TALK])
    assert len(DialogueReply(films.catalog, films.items, dialogues, held_out=["i3"])) == 1
    assert len(DialogueReply(films.catalog, films.items, dialogues, held_out=["i0"], max_turns=1)) == 1
    with pytest.raises(DataError, match="no dialogue has a reply"):
        DialogueReply(films.catalog, films.items, dialogues, held_out=["i1"])
    with pytest.raises(DataError, match="something to reply to"):
        DialogueReply(films.catalog, films.items, dialogues, max_turns=0)


def test_long_and_empty_replies_are_left_out(films: Any) -> None:
    dialogues = Dialogues.from_rows(
        [talk(("u", "Hm", []), ("a", "x" * 50, []), ("u", "Hm", []), ("a", " ", []))]
    )
    assert len(DialogueReply(films.catalog, films.items, dialogues)) == 1
    with pytest.raises(DataError, match="no dialogue has a reply"):
        DialogueReply(films.catalog, films.items, dialogues, max_characters=49)


def test_items_outside_the_catalog_stay_text(films: Any) -> None:
    spec = films.catalog.spec
    catalog = Catalog(["i1", "i4"], films.catalog.codes[:2], spec)
    task = DialogueReply(catalog, films.items, Dialogues.from_rows([TALK]))
    assert said(films, task, 1)[1] == "Then Up!"


def test_redial(shared_data: Path, make_world: Any) -> None:
    folder = shared_data / "conv_redial"
    items = ItemTable.read(folder / "items.jsonl.gz")
    dialogues = Dialogues.read(folder / "dialogues.jsonl.gz", items=items).of_split("valid")
    spec = SemanticIdSpec((6, 5, 4))
    named = dialogues.item_ids[:120]
    numbers = np.stack(np.unravel_index(np.arange(len(named)), spec.codebook_sizes), axis=1)
    world = make_world()
    task = DialogueReply(Catalog(named, numbers, spec), items, dialogues)
    assert len(task) > 3000
    assert task.num_targets > 100
    counted: Counter[str] = Counter()
    for index in range(0, len(task), 40):
        number, place = task.rows[index]
        reply = task.dialogues[number][place]
        _, answer = said(world, task, index, index)
        if not set(reply.item_ids) & set(named):
            assert answer == reply.text.strip()
            counted["text"] += 1
        else:
            assert "<a_" in answer
            assert not any(items.title(i) in answer for i in reply.item_ids if i in set(named))
            counted["ids"] += 1
    assert min(counted["text"], counted["ids"]) > 0
