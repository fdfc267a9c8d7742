"""Errors tell three parts and survive the way between processes."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from genrec import errors
from genrec.errors import DataError, GenRecError, is_count

CHILDREN = [value for value in vars(errors).values() if isinstance(value, type) and value is not GenRecError]


def test_an_error_shows_its_three_parts_in_order() -> None:
    error = DataError("no such column", received="titel", remedy="write title")
    assert str(error) == "no such column\nreceived: titel\nwhat to do: write title"


def test_missing_parts_are_left_out_and_values_are_shown_by_repr() -> None:
    assert str(GenRecError("broken")) == "broken"
    assert str(GenRecError("broken", received=[1, "a"])) == "broken\nreceived: [1, 'a']"


@pytest.mark.parametrize("child", CHILDREN)
def test_every_child_is_rebuilt_whole(child: type[GenRecError]) -> None:
    assert issubclass(child, GenRecError)
    again = copy.copy(child("what", received={"a": 1}, remedy="do"))  # goes through __reduce__, as pickles do
    assert type(again) is child
    assert (again.problem, again.received, again.remedy) == ("what", {"a": 1}, "do")


def test_only_whole_numbers_count() -> None:
    assert is_count(1)
    assert is_count(np.int32(3), 3)
    assert is_count(0, 0)
    for wrong in (0, -1, 1.0, True, np.bool_(True), np.float32(2), "2", None, float("nan")):
        assert not is_count(wrong)
