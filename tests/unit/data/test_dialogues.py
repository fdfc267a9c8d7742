"""Conversations: read as written, or an error that names file, line and column."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from genrec.data import Dialogues, DialogueTurn, ItemTable
from genrec.errors import DataError

GOOD = {
    "dialogue_id": "d1",
    "split": "train",
    "turns": [
        {"role": "user", "text": "Like Alien?", "item_ids": ["7"]},
        {"role": "assistant", "text": "Hm."},
        {"role": "assistant", "text": "Try Aliens", "item_ids": [8, 8]},
    ],
    "extra": {"a": 1},
}
ITEMS = ItemTable.from_rows([{"item_id": "7", "title": "Alien"}, {"item_id": "9", "title": "Else"}])


def written(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_conversations_are_read_as_written(tmp_path: Path) -> None:
    dialogues = Dialogues.read(written(tmp_path / "d.jsonl", GOOD, {"turns": GOOD["turns"][:1]}))
    assert len(dialogues) == 2
    assert dialogues[0].dialogue_id == "d1"
    assert dialogues[0].turns == (
        DialogueTurn("user", "Like Alien?", ("7",)),
        DialogueTurn("assistant", "Hm."),
        DialogueTurn("assistant", "Try Aliens", ("8",)),
    )
    assert (dialogues[1].dialogue_id, dialogues[1].split) == ("", "")
    assert set(dialogues.item_ids) == {"7", "8"}
    assert Dialogues.from_rows([GOOD])[0] == dialogues[0]


def test_packed_files_other_names_and_numbers_as_ids(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({"conversation": GOOD["turns"], "dialogue_id": 12}).encode()))
    dialogues = Dialogues.read(path, columns={"turns": "conversation"})
    assert dialogues[0].dialogue_id == "12"
    assert len(dialogues[0].turns) == 3


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ("hello", "not a list of turns but a text"),
        ([], "not a list of turns but no turn"),
        (None, "not a list of turns but no turn"),
        (["hello"], "turn 1 is a text"),
        ([GOOD["turns"][0], {"role": "Seeker", "text": "x"}], "turn 2 has an unknown role"),
        ([{"role": "user", "text": None}], "turn 1 has no text"),
        ([{"role": "user"}], "turn 1 has no text"),
        ([{"role": "user", "text": "x", "item_ids": "7"}], "no list of ids"),
        ([{"role": "user", "text": "x", "item_ids": [1.5]}], "no list of ids"),
    ],
)
def test_a_fault_is_told_with_file_line_and_column(tmp_path: Path, turns: Any, message: str) -> None:
    path = written(tmp_path / "d.jsonl", GOOD, {"dialogue_id": "d2", "turns": turns})
    with pytest.raises(DataError, match=message) as caught:
        Dialogues.read(path)
    assert "d.jsonl, line 2, column turns" in str(caught.value)
    assert "what to do" in str(caught.value)


def test_broken_lines_and_missing_columns_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(GOOD) + "\n{broken\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"d.jsonl, line 2: not valid JSON"):
        Dialogues.read(path)
    with pytest.raises(DataError, match="no column turns"):
        Dialogues.read(written(path, {"dialogue_id": "a"}))
    with pytest.raises(DataError, match="no dialogues"):
        Dialogues([])


def test_splits() -> None:
    dialogues = Dialogues.from_rows([GOOD, {**GOOD, "split": "test"}, GOOD])
    assert len(dialogues.of_split("train")) == 2
    with pytest.raises(DataError, match="no dialogue belongs to this split") as caught:
        dialogues.of_split("dev")
    assert "'test', 'train'" in str(caught.value)


def test_mentions_of_unknown_items_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="genrec"):
        dialogues = Dialogues.from_rows([GOOD], items=ITEMS)
    assert [turn.item_ids for turn in dialogues[0].turns] == [("7",), (), ()]
    assert "1 of 2 mentions are left out" in caplog.text
    with pytest.raises(DataError, match="no item that is named is in the item table"):
        Dialogues.from_rows([GOOD], items=ItemTable.from_rows([{"item_id": "z", "title": ""}]))


def test_redial(shared_data: Path) -> None:
    folder = shared_data / "conv_redial"
    items = ItemTable.read(folder / "items.jsonl.gz")
    dialogues = Dialogues.read(folder / "dialogues.jsonl.gz", items=items)
    assert len(dialogues) == 2318
    assert {split: len(dialogues.of_split(split)) for split in ("valid", "test")} == {
        "valid": 1000,
        "test": 1318,
    }
    turns = [turn for dialogue in dialogues.dialogues for turn in dialogue.turns]
    assert len(turns) == 23802
    assert sum(bool(turn.item_ids) for turn in turns if turn.role == "assistant") == 6549
    assert sum(bool(turn.item_ids) for turn in turns if turn.role == "user") == 3782
    assert len(dialogues.item_ids) == 3005
    assert all(items.title(item) in turn.text for turn in turns for item in turn.item_ids)
