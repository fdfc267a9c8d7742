"""Shape of an ID, and tokens there and back."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.errors import SemanticIdError
from genrec.semantic_ids import SemanticIdSpec

sizes = st.lists(st.integers(1, 20_000), min_size=1, max_size=40)


def test_length_and_capacity() -> None:
    spec = SemanticIdSpec((256, 64, 4))
    assert spec.length == 3
    assert spec.capacity == 256 * 64 * 4


def test_tokens_are_written_as_in_the_field() -> None:
    spec = SemanticIdSpec((256,) * 3)
    assert [spec.token(0, 12), spec.token(1, 201), spec.token(2, 7)] == ["<a_12>", "<b_201>", "<c_7>"]


@pytest.mark.parametrize(
    ("position", "letter"), [(0, "a"), (25, "z"), (26, "aa"), (27, "ab"), (701, "zz"), (702, "aaa")]
)
def test_position_letters(position: int, letter: str) -> None:
    assert SemanticIdSpec.position_letter(position) == letter


@given(sizes, st.data())
def test_parse_undoes_token(codebook_sizes: list[int], data: st.DataObject) -> None:
    spec = SemanticIdSpec(tuple(codebook_sizes))
    position = data.draw(st.integers(0, spec.length - 1))
    code = data.draw(st.integers(0, spec.codebook_sizes[position] - 1))
    assert spec.parse(spec.token(position, code)) == (position, code)


def test_all_tokens_differ() -> None:
    spec = SemanticIdSpec((11,) * 60)
    tokens = [spec.token(p, c) for p in range(60) for c in range(11)]
    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a_1",
        "<a_1",
        "<A_1>",
        "<a_-1>",
        "<a_01>",
        "<a_1> ",
        "<a_1>\n",
        "<_1>",
        "<a_>",
        "<a_4>",
        "<b_0>",
        "<a_\u0661>",
    ],
)
def test_text_that_is_no_token_of_the_spec_is_refused(token: str) -> None:
    with pytest.raises(SemanticIdError):
        SemanticIdSpec((4,)).parse(token)


@pytest.mark.parametrize(("position", "code"), [(-1, 0), (2, 0), (0, -1), (0, 4), (1, 8)])
def test_token_out_of_range_is_refused(position: int, code: int) -> None:
    with pytest.raises(SemanticIdError):
        SemanticIdSpec((4, 8)).token(position, code)


@pytest.mark.parametrize("codebook_sizes", [(), (0,), (4, -1), (2.5,), ("4",), 4])
def test_sizes_that_are_none_are_refused(codebook_sizes: object) -> None:
    with pytest.raises(SemanticIdError):
        SemanticIdSpec(codebook_sizes)  # type: ignore[arg-type]


def test_numpy_sizes_make_an_equal_spec_that_cannot_change() -> None:
    spec = SemanticIdSpec(tuple(np.array([4, 8])))
    assert spec == SemanticIdSpec((4, 8))
    assert hash(spec) == hash(SemanticIdSpec((4, 8)))
    assert type(spec.codebook_sizes[0]) is int
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.codebook_sizes = (1,)  # type: ignore[misc]


def test_importing_the_three_rooms_loads_no_torch() -> None:
    program = (
        "import sys, genrec.embeddings, genrec.quantization, genrec.semantic_ids\n"
        "heavy = ('torch', 'sklearn', 'scipy', 'transformers')\n"
        "sys.exit(','.join(m for m in heavy if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
