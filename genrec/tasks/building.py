"""Tasks from their names and a few options, as recipes and `TaskMixture.lc_rec` ask for them.

Does not know how tasks are weighed or what their rows look like.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from genrec.catalog import Catalog
from genrec.data import InteractionLog, ItemTable
from genrec.errors import ConfigError, DataError
from genrec.tasks.attribute_texts import AttributeTexts
from genrec.tasks.fusionseqrec import FusionSeqRec
from genrec.tasks.index2item import Index2Item
from genrec.tasks.item2index import Item2Index
from genrec.tasks.item_texts import ItemTexts
from genrec.tasks.itemsearch import ItemSearch
from genrec.tasks.preferenceobtain import PreferenceObtain
from genrec.tasks.seqrec import Form, seqrec_task
from genrec.tasks.sequences import Sequences
from genrec.tasks.task import Task
from genrec.tasks.text_sources import PreferenceSource, QuerySource

TaskName = Literal["seqrec", "item2index", "index2item", "fusionseqrec", "itemsearch", "preferenceobtain"]
LC_REC: tuple[TaskName, ...] = (
    "seqrec",
    "item2index",
    "index2item",
    "fusionseqrec",
    "itemsearch",
    "preferenceobtain",
)
MAX_CHARACTERS = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskOptions:
    """What can be said of a task in a mixture.

    Attributes:
        weight: Rows an epoch as a multiple of the task's own.
        cap: Most rows an epoch; None = no cap.
        form: `seqrec` alone: `packed` rows without words, or `prompted` ones.
        max_characters: `index2item` and `fusionseqrec`: longest description that is an answer, as answers
            are never cut; None = 1,000.
    """

    weight: float = 1
    cap: int | None = None
    form: Form | None = None
    max_characters: int | None = None


@dataclass(frozen=True)
class TaskInputs:
    """What tasks are made from.

    Attributes:
        catalog: Items and their Semantic IDs.
        items: What is known of them.
        log: The training part of a split.
        max_history: Longest history of a row.
        held_out: Ids of items that no training row may name.
        queries: Where search requests come from; None = the items' attributes.
        preferences: Where summaries of taste come from; None = the items' attributes.
    """

    catalog: Catalog
    items: ItemTable
    log: InteractionLog
    max_history: int = 20
    held_out: Collection[str] = ()
    queries: QuerySource | None = None
    preferences: PreferenceSource | None = None


def build_tasks(
    options: Mapping[TaskName, TaskOptions | None],
    inputs: TaskInputs,
    *,
    missing: Literal["error", "skip"] = "error",
) -> dict[TaskName, Task]:
    """The tasks of these names, in their order.

    Args:
        options: Task name -> its options; None = the defaults.
        inputs: What they are made from.
        missing: What to do about a task for which the data have nothing: raise, or leave it out and say so in
            the log (logging).

    Raises:
        ConfigError: An unknown task, or an option that a task does not take.
        DataError: A task for which the data have nothing.
    """
    workshop = _Workshop(inputs)
    tasks: dict[TaskName, Task] = {}
    for name, given in options.items():
        try:
            tasks[name] = workshop.task(name, given or TaskOptions())
        except DataError as error:
            if missing == "error":
                raise
            logger.warning("%s is left out: %s", name, error.problem)
    return tasks


class _Workshop:
    """What tasks share, made when the first of them needs it."""

    def __init__(self, inputs: TaskInputs) -> None:
        self.inputs = inputs

    @cached_property
    def sequences(self) -> Sequences:
        return Sequences.from_log(self.inputs.catalog, self.inputs.log, self.inputs.held_out)

    @cached_property
    def texts(self) -> ItemTexts:
        return ItemTexts(self.inputs.catalog, self.inputs.items)

    @cached_property
    def attributes(self) -> AttributeTexts:
        items, hidden = self.inputs.items, set(self.inputs.held_out)
        return AttributeTexts(items.subset([item for item in items.item_ids if item not in hidden]))

    def task(self, name: TaskName, options: TaskOptions) -> Task:
        inputs, catalog = self.inputs, self.inputs.catalog
        _check(name, options)
        form: Form = options.form or "packed"
        characters = MAX_CHARACTERS if options.max_characters is None else options.max_characters
        match name:
            case "seqrec":
                return seqrec_task(catalog, self.sequences, form=form, max_history=inputs.max_history)
            case "item2index":
                return Item2Index(self.texts, held_out=inputs.held_out)
            case "index2item":
                return Index2Item(self.texts, held_out=inputs.held_out, max_characters=characters)
            case "fusionseqrec":
                return FusionSeqRec(
                    self.texts, self.sequences, max_history=inputs.max_history, max_characters=characters
                )
            case "itemsearch":
                queries = inputs.queries or self.attributes
                preferences = inputs.preferences or self.attributes
                return ItemSearch(
                    catalog, self.sequences, queries, preferences, max_history=inputs.max_history
                )
            case "preferenceobtain":
                preferences = inputs.preferences or self.attributes
                return PreferenceObtain(catalog, self.sequences, preferences, max_history=inputs.max_history)


def _check(name: str, options: TaskOptions) -> None:
    if name not in get_args(TaskName):
        near = difflib.get_close_matches(name, get_args(TaskName), n=1)
        raise ConfigError(
            "there is no such task",
            received=name,
            remedy=(f"did you mean {near[0]}? " if near else "") + f"tasks: {', '.join(get_args(TaskName))}",
        )
    takers = {"form": ("seqrec",), "max_characters": ("index2item", "fusionseqrec")}
    given = {field for field in takers if getattr(options, field) is not None}
    strange = sorted(field for field in given if name not in takers[field])
    if strange:
        raise ConfigError(
            f"the task {name} does not take this option",
            received=", ".join(strange),
            remedy="; ".join(f"{field} belongs to {' and '.join(takers[field])}" for field in strange),
        )
