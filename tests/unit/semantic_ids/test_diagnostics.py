"""Diagnostics of plain arrays, with numbers worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genrec.errors import SemanticIdError
from genrec.semantic_ids import diagnose

NATIVE = np.array([[0, 1], [0, 1], [0, 1], [2, 3]], dtype=np.int32)
CODES = np.array([[0, 1], [0, 2], [0, 0], [2, 3]], dtype=np.int32)


def test_numbers_of_a_small_catalog() -> None:
    found = diagnose(CODES, (4, 4), NATIVE)
    assert found.num_items == 4
    assert (found.shared_before, found.shared_after) == (0.75, 0.0)
    assert (found.largest_group_before, found.largest_group_after) == (3, 1)
    assert found.moved == 0.5
    assert found.codes_used == (2, 4)
    # Position a: three items on one code, one on another; position b: four codes used evenly.
    assert found.perplexity == pytest.approx((np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))), 4.0))


def test_shared_ids_are_counted_after_as_well() -> None:
    found = diagnose(NATIVE, (4, 4))
    assert (found.shared_after, found.largest_group_after) == (0.75, 3)
    assert found.shared_before is None
    assert found.moved is None


def test_an_extra_position_moves_nothing() -> None:
    with_extra = np.array([[0, 1, 0], [0, 1, 1], [0, 1, 2], [2, 3, 0]], dtype=np.int32)
    found = diagnose(with_extra, (4, 4, 8), NATIVE)
    assert (found.moved, found.shared_before, found.shared_after) == (0.0, 0.75, 0.0)


def test_dict_is_plain_and_markdown_holds_the_numbers() -> None:
    found = diagnose(CODES, (4, 4), NATIVE)
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    text = found.to_markdown()
    assert "75.0%" in text
    assert "at most 3 on one ID" in text
    assert "| b | 4 | 4 | 4.0 |" in text
    assert str(found) == text


def test_markdown_without_native_codes_says_so() -> None:
    assert "not known" in diagnose(CODES, (4, 4)).to_markdown()


def test_room_for_ids_of_unequal_length_counts_every_length() -> None:
    codes = np.array([[0, -1, -1], [0, 3, -1], [2, 0, 1]], dtype=np.int32)
    found = diagnose(codes, (4, 4, 2), terminated=True)
    assert found.terminated
    assert "3 on 52 possible IDs of 1 to 3 codes" in found.to_markdown()  # 4 + 4 * 4 + 4 * 4 * 2
    assert "4 on 16 possible IDs of 2 codes" in diagnose(CODES, (4, 4)).to_markdown()


def test_no_items() -> None:
    found = diagnose(np.empty((0, 2), dtype=np.int32), (4, 4), np.empty((0, 2), dtype=np.int32))
    assert (found.num_items, found.shared_after, found.codes_used) == (0, 0.0, (0, 0))


@pytest.mark.parametrize(
    "codes", [np.array([[0, 4]]), np.array([[-1, 0]]), np.array([[0]]), np.array([[0.0, 1.0]])]
)
def test_codes_that_do_not_fit_are_refused(codes: np.ndarray) -> None:
    with pytest.raises(SemanticIdError):
        diagnose(codes, (4, 4))


@pytest.mark.parametrize("native", [NATIVE[:3], NATIVE[:, 0], np.zeros((4, 3), dtype=np.int32)])
def test_native_codes_of_other_items_are_refused(native: np.ndarray) -> None:
    with pytest.raises(SemanticIdError, match="native codes"):
        diagnose(CODES, (4, 4), native)
