"""Tasks from their names and a few options, as recipes and `TaskMixture.lc_rec` ask for them.

Does not know how tasks are weighed or what their rows look like.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from genrec.catalog import Catalog
from genrec.data import Dialogues, InteractionLog, ItemTable
from genrec.errors import ConfigError, DataError
from genrec.semantic_ids import UserTokenizer
from genrec.tasks.attribute_texts import AttributeTexts
from genrec.tasks.dialogue import DialogueReply
from genrec.tasks.direct import Direct
from genrec.tasks.explanation import Explanation
from genrec.tasks.fusionseqrec import FusionSeqRec
from genrec.tasks.index2item import Index2Item
from genrec.tasks.item2index import Item2Index
from genrec.tasks.item_texts import ItemTexts
from genrec.tasks.itemsearch import ItemSearch
from genrec.tasks.preferenceobtain import PreferenceObtain
from genrec.tasks.query2index import Query2Index
from genrec.tasks.rating import Rating
from genrec.tasks.review import Review
from genrec.tasks.seqrec import Form, seqrec_task
from genrec.tasks.sequences import Sequences
from genrec.tasks.sequential import Sequential
from genrec.tasks.task import Task
from genrec.tasks.text import TextReplay
from genrec.tasks.text_sources import PreferenceSource, QuerySource

TaskName = Literal[
    "seqrec",
    "item2index",
    "index2item",
    "fusionseqrec",
    "itemsearch",
    "preferenceobtain",
    "rating",
    "sequential",
    "explanation",
    "review",
    "direct",
    "query2index",
    "dialogue",
    "text",
]
LC_REC: tuple[TaskName, ...] = (
    "seqrec",
    "item2index",
    "index2item",
    "fusionseqrec",
    "itemsearch",
    "preferenceobtain",
)
P5: tuple[TaskName, ...] = ("rating", "sequential", "explanation", "review", "direct")
OPTION_TAKERS: dict[str, tuple[TaskName, ...]] = {
    "form": ("seqrec",),
    "max_characters": ("index2item", "fusionseqrec", "explanation", "review", "dialogue"),
    "num_candidates": ("direct",),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskOptions:
    """What can be said of a task in a mixture; None = the task's own default.

    Attributes:
        weight: Rows an epoch as a multiple of the task's own.
        cap: Most rows an epoch; None = no cap.
        form: `seqrec` alone: `packed` rows without words, or `prompted` ones.
        max_characters: `index2item`, `fusionseqrec`, `explanation`, `review`, `dialogue`: the longest text
            that is an answer, as answers are never cut.
        num_candidates: `direct` alone: items to choose from.
    """

    weight: float = 1
    cap: int | None = None
    form: Form | None = None
    max_characters: int | None = None
    num_candidates: int | None = None


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
        pairs: Queries and the ids of items that answer them, for `query2index`.
        dialogues: Conversations, for `dialogue`.
        texts: Documents to be replayed, for `text`.
        user_tokenizer: Puts codes of the history in front of `seqrec`'s prompts (form `prefixes`).
    """

    catalog: Catalog
    items: ItemTable
    log: InteractionLog
    max_history: int = 20
    held_out: Collection[str] = ()
    queries: QuerySource | None = None
    preferences: PreferenceSource | None = None
    pairs: Sequence[tuple[str, str]] = ()
    dialogues: Dialogues | None = None
    texts: Sequence[str] = ()
    user_tokenizer: UserTokenizer | None = None


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
        check_task(name, options)
        inputs, catalog = self.inputs, self.inputs.catalog
        longest = {"max_history": inputs.max_history}
        limit = {} if options.max_characters is None else {"max_characters": options.max_characters}
        choice = {} if options.num_candidates is None else {"num_candidates": options.num_candidates}
        match name:
            case "seqrec":
                return seqrec_task(catalog, self.sequences, form=options.form or "packed", **longest)
            case "item2index":
                return Item2Index(self.texts, held_out=inputs.held_out)
            case "index2item":
                return Index2Item(self.texts, held_out=inputs.held_out, **limit)
            case "fusionseqrec":
                return FusionSeqRec(self.texts, self.sequences, **longest, **limit)
            case "itemsearch":
                return ItemSearch(catalog, self.sequences, self.queries, self.preferences, **longest)
            case "preferenceobtain":
                return PreferenceObtain(catalog, self.sequences, self.preferences, **longest)
            case "rating":
                return Rating(catalog, self.sequences, inputs.log, **longest)
            case "sequential":
                return Sequential(catalog, self.sequences, **longest)
            case "explanation":
                return Explanation(catalog, self.sequences, inputs.log, **longest, **limit)
            case "review":
                return Review(catalog, self.sequences, inputs.log, **limit)
            case "direct":
                return Direct(catalog, self.sequences, **longest, **choice)
            case "query2index":
                return Query2Index(catalog, self.queries, inputs.pairs, held_out=inputs.held_out)
            case "dialogue":
                if inputs.dialogues is None:
                    raise DataError(
                        "the task dialogue needs conversations",
                        received="no dialogues",
                        remedy="read some with Dialogues.read, or leave the task dialogue out",
                    )
                return DialogueReply(
                    catalog, inputs.items, inputs.dialogues, held_out=inputs.held_out, **limit
                )
            case "text":
                return TextReplay(inputs.texts)

    @property
    def queries(self) -> QuerySource:
        return self.inputs.queries or self.attributes

    @property
    def preferences(self) -> PreferenceSource:
        return self.inputs.preferences or self.attributes


def check_task(name: str, options: TaskOptions) -> None:
    """Refuses a task that there is none of, or options that it does not take.

    Raises:
        ConfigError: Either.
    """
    if name not in get_args(TaskName):
        near = difflib.get_close_matches(name, get_args(TaskName), n=1)
        raise ConfigError(
            "there is no such task",
            received=name,
            remedy=(f"did you mean {near[0]}? " if near else "") + f"tasks: {', '.join(get_args(TaskName))}",
        )
    given = [field for field in OPTION_TAKERS if getattr(options, field) is not None]
    strange = [field for field in given if name not in OPTION_TAKERS[field]]
    if strange:
        raise ConfigError(
            f"the task {name} does not take this option",
            received=", ".join(strange),
            remedy="; ".join(f"{field} belongs to {', '.join(OPTION_TAKERS[field])}" for field in strange),
        )
