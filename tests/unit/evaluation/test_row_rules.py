"""Hits of the row rules against the lists written out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genrec.data import Cases
from genrec.evaluation.row_rules import NumberedCases


def written_out(history: list[int], target: int, total: int) -> list[bool]:
    """The three lists of at most ten rows; equal distances count for the target."""
    after = target in range(max(history) + 1, min(max(history) + 11, total))

    def hit(distance: dict[int, int]) -> bool:
        return target in distance and sum(d < distance[target] for d in distance.values()) < 10

    last = {row: abs(row - history[-1]) for row in range(total) if row != history[-1]}
    near = {row: min(abs(row - h) for h in history) for row in range(total) if row not in history}
    return [after, hit(last), hit(near)]


@given(data=st.data())
def test_hits_are_those_of_the_lists(data: st.DataObject) -> None:
    total = data.draw(st.integers(2, 40))
    row = st.integers(0, total - 1)
    rows = data.draw(st.lists(st.tuples(st.lists(row, min_size=1, max_size=6), row), min_size=1, max_size=8))
    numbering = np.array(data.draw(st.permutations(range(total))))
    cases = Cases(
        tuple(str(i) for i in range(len(rows))),
        tuple(tuple(f"i{item}" for item in history) for history, _ in rows),
        tuple(f"i{target}" for _, target in rows),
    )
    numbered = NumberedCases.of([f"i{item}" for item in range(total)], cases)
    expected = np.zeros(3, dtype=int)
    for history, target in rows:
        expected += np.array(written_out(numbering[history].tolist(), int(numbering[target]), total))
    assert numbered.hits(numbering).tolist() == expected.tolist()


def test_cases_without_a_known_history_or_target_are_left_out() -> None:
    cases = Cases(("u", "v", "w", "x"), (("a",), (), ("gone",), ("a", "gone")), ("b", "a", "a", "elsewhere"))
    assert NumberedCases.of(["a", "b"], cases).size == 1
