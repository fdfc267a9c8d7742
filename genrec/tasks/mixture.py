"""Several tasks as one map-style source of training rows.

Does not know batches or processes: row `i` of epoch `e` is a pure function of (seed, e, i), which is what
makes resuming exact and one process equal to many.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Literal

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog, ItemTable
from genrec.errors import DataError
from genrec.semantic_ids import UserTokenizer
from genrec.tasks.building import LC_REC, P5, TaskInputs, TaskName, TaskOptions, build_tasks
from genrec.tasks.keyed_permutation import mixed, permuted
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.seqrec import Form, seqrec_task, serving_template
from genrec.tasks.sequences import Sequences
from genrec.tasks.task import Task
from genrec.tasks.templates import Template, load_templates
from genrec.tasks.text_sources import PreferenceSource, QuerySource


class TaskMixture:
    """The rows of all tasks, one after the other; the trainer's sampler shuffles them.

    A task with a weight or a cap gives a part of its rows in each epoch, or some of them more than once.
    Every row has its turn before any has the next one, in an order that is computed from the seed and never
    stored.

    Args:
        catalog: The catalog whose Semantic IDs the rows speak.
        tasks: At least one task.
        weights: Task name -> rows an epoch as a multiple of the task's own; 1 where nothing is said.
        caps: Task name -> most rows an epoch.
        seed: Seed of everything drawn.
        template: Wording that the trained model is to be asked for the next item in; None = the packed form.
        user_tokenizer: Puts codes of a history in front of it, in training and in serving; `seqrec` in the
            form `prefixes` can carry them.

    Raises:
        DataError: No task, a weight or a cap of a task that is not there, or one that leaves no row; a seed
            outside 32 bits.
    """

    def __init__(
        self,
        catalog: Catalog,
        tasks: Sequence[Task],
        *,
        weights: Mapping[str, float] | None = None,
        caps: Mapping[str, int] | None = None,
        seed: int = 0,
        template: Template | None = None,
        user_tokenizer: UserTokenizer | None = None,
    ) -> None:
        if not tasks:
            raise DataError(
                "a mixture needs a task", received="an empty list", remedy="pass at least one task"
            )
        if not 0 <= seed < 1 << 32:
            raise DataError(
                "a seed has 32 bits", received=f"seed={seed}", remedy="use a number from 0 to 4294967295"
            )
        self.catalog = catalog
        self.tasks = tuple(tasks)
        self.seed = seed
        self.template = template
        self.user_tokenizer = user_tokenizer
        self.counts = _counts(self.tasks, weights or {}, caps or {})
        self._ends = list(accumulate(self.counts))

    @classmethod
    def seqrec(
        cls,
        catalog: Catalog,
        log: InteractionLog,
        *,
        max_history: int = 20,
        form: Form = "packed",
        held_out: Collection[str] = (),
        seed: int = 0,
        user_tokenizer: UserTokenizer | None = None,
    ) -> TaskMixture:
        """The mixture of `seqrec` alone.

        Args:
            catalog: Items and their Semantic IDs.
            log: The training part of a split.
            max_history: Longest history a target is predicted from.
            form: `packed` learns a user's every next item in one row without words; `prompted` one next item
                in a templated row; `prefixes` has a row without words for every next item, as encoder-decoder
                models need.
            held_out: Ids of items that no training row may name.
            seed: Seed of everything drawn.
            user_tokenizer: User codes, for the form `prefixes`.
        """
        sequences = Sequences.from_log(catalog, log, held_out)
        task = seqrec_task(catalog, sequences, form=form, max_history=max_history)
        template = serving_template(form)
        return cls(catalog, [task], seed=seed, template=template, user_tokenizer=user_tokenizer)

    @classmethod
    def build(
        cls,
        options: Mapping[TaskName, TaskOptions | None],
        inputs: TaskInputs,
        *,
        missing: Literal["error", "skip"] = "error",
        seed: int = 0,
    ) -> TaskMixture:
        """The mixture of named tasks with their weights, caps and other options; see `build_tasks`.

        The trained model is asked in the form of `seqrec`; without it in words, those of `sequential` where
        that is there.
        """
        tasks = build_tasks(options, inputs, missing=missing)
        chosen = {name: options[name] or TaskOptions() for name in tasks}
        asked = load_templates("sequential" if "sequential" in chosen else "seqrec")["next_item"]
        template: Template | None = asked.training[0]
        if "seqrec" in chosen:
            template = serving_template(chosen["seqrec"].form or "packed")
        return cls(
            inputs.catalog,
            list(tasks.values()),
            weights={name: given.weight for name, given in chosen.items()},
            caps={name: given.cap for name, given in chosen.items() if given.cap is not None},
            seed=seed,
            template=template,
            user_tokenizer=inputs.user_tokenizer,
        )

    @classmethod
    def lc_rec(
        cls,
        catalog: Catalog,
        items: ItemTable,
        log: InteractionLog,
        *,
        options: Mapping[TaskName, TaskOptions | None] | None = None,
        max_history: int = 20,
        held_out: Collection[str] = (),
        queries: QuerySource | None = None,
        preferences: PreferenceSource | None = None,
        seed: int = 0,
    ) -> TaskMixture:
        """LC-Rec's six tasks (arXiv 2311.09049, section 3.2); those the data have nothing for are left out.

        Args:
            catalog: Items and their Semantic IDs.
            items: What is known of them.
            log: The training part of a split.
            options: What differs from the defaults, by task.
            max_history: Longest history of a row.
            held_out: Ids of items that no training row may name.
            queries: Where `itemsearch` has its requests from; None = the items' attributes.
            preferences: Where summaries of taste come from; None = the items' attributes.
            seed: Seed of everything drawn.
        """
        inputs = TaskInputs(catalog, items, log, max_history, held_out, queries, preferences)
        chosen = dict.fromkeys(LC_REC) | dict(options or {})
        return cls.build(chosen, inputs, missing="skip", seed=seed)

    @classmethod
    def p5(
        cls,
        catalog: Catalog,
        items: ItemTable,
        log: InteractionLog,
        *,
        options: Mapping[TaskName, TaskOptions | None] | None = None,
        max_history: int = 20,
        held_out: Collection[str] = (),
        seed: int = 0,
    ) -> TaskMixture:
        """P5's five tasks (arXiv 2203.13366, section 3.1); those the data have nothing for are left out.

        Args:
            catalog: Items and their Semantic IDs.
            items: What is known of them.
            log: The training part of a split, with `rating`, `review`, `summary` and `explanation` as far as
                there are such columns.
            options: What differs from the defaults, by task.
            max_history: Longest history of a row.
            held_out: Ids of items that no training row may name.
            seed: Seed of everything drawn.
        """
        inputs = TaskInputs(catalog, items, log, max_history, held_out)
        return cls.build(dict.fromkeys(P5) | dict(options or {}), inputs, missing="skip", seed=seed)

    def __len__(self) -> int:
        """Rows an epoch, all tasks together."""
        return self._ends[-1]

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch, all tasks together; rounded where a task gives a part of its rows."""
        parts = zip(self.tasks, self.counts, strict=True)
        return sum(round(task.num_targets * count / len(task)) for task, count in parts)

    def locate(self, index: int, epoch: int) -> tuple[Task, int]:
        """The task that row `index` of an epoch belongs to, and which of the task's rows it is.

        Raises:
            DataError: There is no such row.
        """
        if not 0 <= index < len(self):
            raise DataError(
                "there is no such row", received=f"row {index} of {len(self)}", remedy="count rows from 0"
            )
        which = bisect_right(self._ends, index)
        inside = index - (self._ends[which - 1] if which else 0)
        task, count = self.tasks[which], self.counts[which]
        size = len(task)
        if count == size:
            return task, inside
        turn, place = divmod(epoch * count + inside, size)
        return task, permuted(place, size, mixed(self.seed, which, turn))

    def row(self, index: int, epoch: int, builder: PromptBuilder) -> dict[str, np.ndarray]:
        """Row `index` of an epoch: `input_ids` and `labels`, int64 `[length]`."""
        task, inside = self.locate(index, epoch)
        rng = np.random.default_rng(np.array([self.seed, epoch, index], dtype=np.uint32))
        ids, labels = task.row(inside, rng, builder)
        return {"input_ids": ids, "labels": labels}


def _counts(tasks: Sequence[Task], weights: Mapping[str, float], caps: Mapping[str, int]) -> list[int]:
    names = [task.name for task in tasks]
    strange = sorted((weights.keys() | caps.keys()) - set(names))
    if strange:
        raise DataError(
            "a weight or a cap names a task that is not in the mixture",
            received=", ".join(strange),
            remedy=f"the tasks are {', '.join(names)}",
        )
    wanted = [round(len(task) * weights.get(task.name, 1)) for task in tasks]
    counts = [min(count, caps.get(name, count)) for name, count in zip(names, wanted, strict=True)]
    if min(counts) < 1:
        name = names[counts.index(min(counts))]
        raise DataError(
            f"the weight or the cap of {name} leaves no row",
            received=f"weight {weights.get(name, 1)}, cap {caps.get(name)}",
            remedy="leave the task out instead",
        )
    return counts


class TokenRows:
    """A mixture in one vocabulary: the map-style data set a data loader reads.

    Args:
        mixture: The tasks.
        builder: The prompt builder that serving will use.
    """

    def __init__(self, mixture: TaskMixture, builder: PromptBuilder) -> None:
        self.mixture = mixture
        self.builder = builder
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that rows are drawn for."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Rows an epoch."""
        return len(self.mixture)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Row `index` of the current epoch."""
        return self.mixture.row(int(index), self.epoch, self.builder)
