"""Which tasks a recipe may name, and what each of them takes.

Does not know what tasks make of it, nor whether there are data for them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import get_args

from genrec.recipe.training_sections import TaskSection

NEEDS_SOURCE = ("dialogue", "text")  # tasks that read something of their own
TAKES_SOURCE = (*NEEDS_SOURCE, "query2index")


def task_problems(tasks: Mapping[str, TaskSection | None]) -> list[str]:
    """What is wrong with the tasks of a recipe, a line each.

    Args:
        tasks: Task name -> its options; None = the defaults.
    """
    from genrec.tasks import OPTION_TAKERS, TaskName  # which loads torch

    names, problems = get_args(TaskName), []
    for task, given in tasks.items():
        if task not in names:
            near = difflib.get_close_matches(task, names, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            problems.append(f"tasks.{task}: there is no such task; {hint}tasks: {', '.join(names)}")
            continue
        section = given or TaskSection()
        for option, takers in OPTION_TAKERS.items():
            if getattr(section, option) is not None and task not in takers:
                problems.append(f"tasks.{task}.{option}: the task {task} does not take this option")
        if section.source is not None and task not in TAKES_SOURCE:
            problems.append(f"tasks.{task}.source: the task {task} takes no source")
        if section.source is None and task in NEEDS_SOURCE:
            problems.append(f"tasks.{task}.source: the task {task} needs a source, what to read")
    return problems
