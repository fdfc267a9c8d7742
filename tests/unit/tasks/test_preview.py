"""Previews show training's own rows, whole, with the loss mask."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from genrec.errors import DataError
from genrec.tasks import IGNORED_LABEL, LC_REC, TaskMixture
from genrec.tasks.preview import preview_row, preview_rows


def test_pieces_are_the_row_and_its_mask(world: Any) -> None:
    mixture = TaskMixture.lc_rec(world.catalog, world.items, world.log)
    builder, reserved = world.builder(prompted=False), world.vocabulary.reserved_ids
    for index in range(len(mixture)):
        shown = preview_row(mixture, builder, index, epoch=2)
        row = mixture.row(index, 2, builder)
        learned = row["labels"] != IGNORED_LABEL
        assert "".join(piece.text for piece in shown.pieces) == world.decoded(row["input_ids"])
        assert "".join(p.text for p in shown.pieces if p.learned) == world.decoded(row["input_ids"][learned])
        assert shown.num_tokens == len(learned)
        assert shown.num_learned == learned.sum()
        ids = [piece for piece in shown.pieces if piece.is_id]
        assert all(re.fullmatch(r"(<a_\d><b_\d><c_\d>)+", piece.text) for piece in ids)
        assert sum(piece.num_tokens for piece in ids) == np.isin(row["input_ids"], reserved).sum() > 0
        assert (shown.task, shown.index, shown.epoch) == (mixture.locate(index, 2)[0].name, index, 2)


def test_every_task_is_shown(world: Any) -> None:
    mixture = TaskMixture.lc_rec(world.catalog, world.items, world.log)
    builder = world.builder(prompted=False)
    assert [row.task for row in preview_rows(mixture, builder)] == list(LC_REC)
    assert len(preview_rows(mixture, builder, per_task=3)) == 18
    with pytest.raises(DataError, match="no such row"):
        preview_row(mixture, builder, len(mixture))
