"""text: plain documents in windows, all of it learned, nothing lost and nothing reserved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.data import read_texts
from genrec.errors import DataError
from genrec.tasks import IGNORED_LABEL, TextReplay

DOCUMENTS = ["A short one.", "Second <a_1> <|im_end|> text.", " ", "word " * 300, "x" * 500, "The end."]


def test_windows_hold_everything_once_and_in_order() -> None:
    task = TextReplay(DOCUMENTS, window=120)
    windows = [task.window(index) for index in range(len(task))]
    assert all(0 < len(window) <= 120 for window in windows)
    assert "".join("".join(windows).split()) == "".join("".join(DOCUMENTS).split())
    assert windows[0].startswith("A short one.\n\nSecond <a_1>")
    words = " ".join(windows[1:]).replace("x", "").split()
    assert set(words[:280]) == {"word"}  # cut between words
    assert min(len(window) for window in windows[:-1]) >= 40
    assert task.num_targets == 0


@given(st.lists(st.text(max_size=80), min_size=1, max_size=8), st.integers(16, 60))
def test_no_character_is_lost(documents: list[str], window: int) -> None:
    if not any(document.strip() for document in documents):
        with pytest.raises(DataError, match="no text to replay"):
            TextReplay(documents, window=window)
        return
    task = TextReplay(documents, window=window)
    windows = [task.window(index) for index in range(len(task))]
    assert "".join("".join(windows).split()) == "".join("".join(documents).split())
    assert max(map(len, windows)) <= window


def test_every_token_is_learned_and_none_is_reserved(world: Any) -> None:
    task = TextReplay(DOCUMENTS, window=100)
    forbidden = set(world.vocabulary.reserved_ids.tolist())
    forbidden |= set(world.text_tokenizer.get_added_vocab().values())
    for index in range(len(task)):
        ids, labels = task.row(index, np.random.default_rng(0), world.builder())
        assert labels[0] == IGNORED_LABEL
        assert (labels[1:] == ids[1:]).all()
        assert not forbidden & set(ids[1:-1].tolist())
        assert world.decoded(ids[1:-1]) == task.window(index)


def test_rows_do_not_depend_on_chance(world: Any) -> None:
    task = TextReplay(DOCUMENTS)
    first, second = (task.row(0, np.random.default_rng(seed), world.builder())[0] for seed in (1, 2))
    assert first.tolist() == second.tolist()


def test_documents_come_from_text_files_and_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n\nTwo.", encoding="utf-8")
    assert read_texts(tmp_path / "a.txt") == ["One.\n\nTwo."]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"body": t}) + "\n" for t in ("x", "y")))
    assert read_texts(tmp_path / "b.jsonl", column="body") == ["x", "y"]
    assert len(TextReplay.read(tmp_path / "b.jsonl", column="body")) == 1
    with pytest.raises(DataError, match=r"b\.jsonl has no column text"):
        TextReplay.read(tmp_path / "b.jsonl")
    with pytest.raises(DataError, match="a file has no splits"):
        read_texts(tmp_path / "a.txt", split="train")
    (tmp_path / "c.txt").write_bytes(b"good \xff bad")
    with pytest.raises(DataError, match=r"c.txt, line 1: a byte that is not UTF-8"):
        read_texts(tmp_path / "c.txt")


def test_documents_come_from_a_saved_data_set(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"text": ["p", "q"]}).save_to_disk(str(tmp_path / "d"))
    assert read_texts(tmp_path / "d") == ["p", "q"]


def test_windows_too_small_are_errors() -> None:
    with pytest.raises(DataError, match="windows are too small"):
        TextReplay(["text"], window=15)
