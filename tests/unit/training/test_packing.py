"""Packing keeps every token of every row, in one piece, and wastes little."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genrec.tasks import IGNORED_LABEL
from genrec.training import PackingCollator


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_every_row_comes_back_out(lengths: list[int]) -> None:
    rows = [
        {"input_ids": np.full(n, i + 1), "labels": np.arange(n) + 1000 * i} for i, n in enumerate(lengths)
    ]
    batch = PackingCollator(pad_token_id=0)(rows)
    ids, labels, positions = (batch[name].numpy() for name in ("input_ids", "labels", "position_ids"))
    assert ids.shape[1] == max(lengths)
    found = {}
    for sequence in range(len(ids)):
        begins = np.flatnonzero(positions[sequence] == 0)
        for begin, end in zip(begins, [*begins[1:], ids.shape[1]], strict=True):
            row = ids[sequence, begin]
            if row == 0:
                assert end - begin == 1
                assert labels[sequence, begin] == IGNORED_LABEL
                continue
            assert row not in found
            assert (ids[sequence, begin:end] == row).all()
            assert positions[sequence, begin:end].tolist() == list(range(end - begin))
            found[row] = labels[sequence, begin:end]
    assert {row: label.tolist() for row, label in found.items()} == {
        i + 1: (np.arange(n) + 1000 * i).tolist() for i, n in enumerate(lengths)
    }


def test_short_rows_share_a_sequence() -> None:
    rows = [{"input_ids": np.arange(n), "labels": np.arange(n)} for n in (10, 4, 3, 3, 6, 4)]
    assert PackingCollator(0)(rows)["input_ids"].shape == (3, 10)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=300))
def test_few_shapes_hold_the_same_rows_and_little_more(lengths: list[int]) -> None:
    rows = [{"input_ids": np.full(n, i + 1), "labels": np.arange(n)} for i, n in enumerate(lengths)]
    batch = PackingCollator(0, few_shapes=True)(rows)
    sequences, longest = batch["input_ids"].shape
    assert longest == -(-max(lengths) // 8) * 8
    assert sequences < 32 or f"{sequences:b}"[5:].strip("0") == ""  # five leading bits, then zeros
    plain = PackingCollator(0)(rows)["input_ids"]
    assert sequences <= len(plain) * 17 / 16
    ids, labels = batch["input_ids"].numpy(), batch["labels"].numpy()
    assert np.bincount(ids[ids > 0], minlength=len(rows) + 1)[1:].tolist() == lengths
    assert (labels[ids == 0] == IGNORED_LABEL).all()
    assert (batch["position_ids"].numpy()[ids == 0] == 0).all()
