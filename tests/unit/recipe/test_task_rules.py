"""Tasks that a recipe may not name, or not so, are refused before anything is read or made."""

from __future__ import annotations

import pytest

from genrec.errors import ConfigError
from genrec.recipe import Recipe


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("tasks.dialogue.weight=1", "the task dialogue needs a source"),
        ("tasks.text=", "the task text needs a source"),
        ("tasks.seqrec.source=here", "the task seqrec takes no source"),
        ("tasks.item2index.form=packed", "the task item2index does not take this option"),
        (
            "tasks.seqrek.weight=1",
            r"tasks\.seqrek: there is no such task; did you mean seqrec\? tasks: seqrec, ",
        ),
        ("tasks.xyz=", r"there is no such task; tasks: seqrec, item2index, "),
    ],
)
def test_a_task_or_an_option_out_of_place_is_told_when_the_recipe_is_read(
    override: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Recipe.load("quickstart-tasks", [override])


def test_they_are_told_with_all_else_that_is_wrong() -> None:
    with pytest.raises(ConfigError) as told:
        Recipe.load("quickstart", ["tasks.seqrek=", "tasks.text=", "align.epochs=0"])
    assert all(name in str(told.value) for name in ("tasks.seqrek", "tasks.text.source", "align.epochs"))


def test_what_tasks_can_do_without_is_not_asked_for() -> None:
    Recipe.load("quickstart", ["tasks.query2index=", "tasks.seqrec.form=prompted", "tasks.text.source=a.txt"])
