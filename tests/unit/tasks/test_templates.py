"""Every template file: enough wordings, one held out, slots that fit and seams that tokenise well."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrec.errors import ConfigError, PromptError
from genrec.tasks import Codes, Template, Trusted, load_templates
from genrec.tasks.templates import FOLDER, parse_templates

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_holds_enough_wordings_of_every_form(path: Path) -> None:
    forms = load_templates(path.stem)
    assert forms
    for form in forms.values():
        wordings = (*form.training, form.held_out)
        assert len({t.prompt for t in wordings}) == len(wordings) >= 4
        for wording in wordings:
            assert wording.slots == form.slots
            assert wording.answer_pieces
            pieces = [*wording.prompt_pieces, None]
            for piece, following in pairwise(pieces):
                if isinstance(piece, Trusted) and isinstance(following, str):
                    # a word's blank belongs to the word, and a slot is encoded on its own
                    assert not piece.text.endswith(" "), wording.prompt


def test_a_slot_is_filled_with_a_segment_and_never_with_text() -> None:
    codes = Codes(np.zeros((1, 3), dtype=int))
    prompt, answer = Template("After {history}?", "{item}").fill({"history": codes, "item": codes})
    assert prompt == [Trusted("After "), codes, Trusted("?")]
    assert answer == [codes]
    with pytest.raises(PromptError, match=r"not filled\nreceived: {history} in"):
        Template("After {history}?", "{item}").fill({"item": codes})


@pytest.mark.parametrize("text", ["{", "{}", "{a.b}", "{a!r}", "{a:3}", " a", "a\n"])
def test_a_text_that_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="template"):
        Template(text, "{item}")


def wordings(count: int, held_out: int = 1, slot: str = "x") -> list[dict[str, Any]]:
    return [{"prompt": f"{n} {{{slot}}}", "answer": "yes", "held_out": n < held_out} for n in range(count)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (wordings(3), "4 different wordings or more"),
        (wordings(4, held_out=0), "0 of them held out"),
        (wordings(5, held_out=2), "2 of them held out"),
        (wordings(4) + wordings(1), "4 different wordings of 5"),
        ([*wordings(4), {"prompt": "new {y}", "answer": "yes"}], "different slots"),
        ([*wordings(4), {"prompt": "new {x}"}], "a list of wordings"),
        ({"prompt": "a"}, "a list of wordings"),
    ],
)
def test_a_form_that_breaks_the_rules_is_refused(rows: Any, expected: str) -> None:
    assert parse_templates({"form": wordings(4)}, source="ours")["form"].slots == {"x"}
    with pytest.raises(PromptError, match=expected):
        parse_templates({"form": rows}, source="ours")


def test_a_task_without_a_file_is_an_error() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_templates("nothing")


def test_training_draws_every_wording_but_the_held_out_one() -> None:
    form = load_templates("seqrec")["next_item"]
    rng = np.random.default_rng(0)
    assert {form.draw(rng) for _ in range(200)} == set(form.training)
    assert form.draw(rng, held_out=True) is form.held_out
