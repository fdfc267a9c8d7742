"""Which tasks a recipe may name, and what each of them takes.

Does not know what tasks make of it, nor whether there are data for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from genrec.errors import ConfigError
from genrec.recipe.training_sections import TaskSection

NEEDS_SOURCE = ("dialogue", "text")  # tasks that read something of their own
TAKES_SOURCE = (*NEEDS_SOURCE, "query2index")


def task_problems(tasks: Mapping[str, TaskSection | None]) -> list[str]:
    """What is wrong with the tasks of a recipe, a line each.

    Args:
        tasks: Task name -> its options; None = the defaults.
    """
    from genrec.tasks import TaskOptions, check_task  # which loads torch

    problems = []
    for task, given in tasks.items():
        section = given or TaskSection()
        options = TaskOptions(
            form=section.form, max_characters=section.max_characters, num_candidates=section.num_candidates
        )
        try:
            check_task(task, options)
        except ConfigError as error:
            problems.append(f"tasks.{task}: {error.problem}; {error.remedy}")
            continue
        if section.source is not None and task not in TAKES_SOURCE:
            problems.append(f"tasks.{task}.source: the task {task} takes no source")
        if section.source is None and task in NEEDS_SOURCE:
            problems.append(f"tasks.{task}.source: the task {task} needs a source, what to read")
    return problems
