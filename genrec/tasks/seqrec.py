"""`seqrec`: past items' Semantic IDs in, the next item's Semantic ID out.

Does not know token ids or models. LC-Rec (arXiv 2311.09049, section 3.2) makes a sample of every prefix; in
the packed form a causal model learns all prefixes of a user in one pass, at the cost of the longest one. In
the prompted form a row is one prefix, another one each epoch, in one of the templates. The form `prefixes`
has a row for every prefix (`PrefixSeqRec`), which is what encoder-decoder models learn from.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.tasks.prefix_seqrec import PrefixSeqRec
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes
from genrec.tasks.sequences import Sequences, Targets
from genrec.tasks.templates import Template, load_templates

Form = Literal["packed", "prompted", "prefixes"]


class SeqRec:
    """One packed row per user with two or more interactions.

    A user with more than `max_history + 1` interactions gives another random window of that length each
    epoch, so that all of a long history is learned in time.

    Args:
        codes: int32 `[catalog, L]`, Semantic ID of each catalog row.
        rows: int32 `[interactions]`, catalog rows in time order, user after user.
        offsets: int64 `[users + 1]`, where each user's interactions start.
        max_history: Longest history a target is predicted from.
    """

    name = "seqrec"

    def __init__(
        self, codes: np.ndarray, rows: np.ndarray, offsets: np.ndarray, *, max_history: int = 20
    ) -> None:
        lengths = np.diff(offsets)
        self.codes = codes
        self.rows = rows
        self.starts = offsets[:-1][lengths >= 2]
        self.lengths = lengths[lengths >= 2]
        self.max_history = max_history
        if len(self.starts) == 0:
            raise DataError(
                "no user has a next item to learn from",
                received=f"{len(lengths)} users, all with fewer than 2 interactions",
                remedy="train on a log with longer histories",
            )

    @classmethod
    def from_log(
        cls,
        catalog: Catalog,
        log: InteractionLog,
        *,
        max_history: int = 20,
        held_out: Collection[str] = (),
    ) -> SeqRec:
        """Rows of a training log; every item of the log, but for those held out, must be in the catalog."""
        sequences = Sequences.from_log(catalog, log, held_out)
        return cls(catalog.codes, sequences.rows, sequences.offsets, max_history=max_history)

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.starts)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch."""
        return int(np.minimum(self.lengths - 1, self.max_history).sum())

    def window(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """Catalog rows of user `index`, int32 `[<= max_history + 1]`, oldest first."""
        start, length = int(self.starts[index]), int(self.lengths[index])
        kept = min(length, self.max_history + 1)
        first = start + (int(rng.integers(length - kept + 1)) if length > kept else 0)
        return self.rows[first : first + kept]

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides the window of a long history."""
        return builder.next_items(self.codes[self.window(index, rng)])


class PromptedSeqRec:
    """One templated row per user with two or more interactions: a random prefix and the item after it.

    Args:
        codes: int32 `[catalog, L]`, Semantic ID of each catalog row.
        sequences: The users' interactions.
        max_history: Longest history a target is predicted from.
    """

    name = "seqrec"

    def __init__(self, codes: np.ndarray, sequences: Sequences, *, max_history: int = 20) -> None:
        self.codes = codes
        self.targets = Targets(sequences, max_history=max_history)
        self.form = load_templates("seqrec")["next_item"]

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.targets)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch."""
        return len(self)

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides prefix and template."""
        drawn = self.targets.draw(index, rng)
        template = self.form.draw(rng, held_out=builder.held_out)
        history, item = Codes(self.codes, drawn.history), Codes(self.codes, [drawn.target])
        return builder.fill(template, {"history": history, "item": item})


def seqrec_task(
    catalog: Catalog, sequences: Sequences, *, form: Form, max_history: int = 20
) -> SeqRec | PromptedSeqRec | PrefixSeqRec:
    """`seqrec` in one of its forms.

    Raises:
        DataError: Another form, or no user with a next item.
    """
    if form not in get_args(Form):
        raise DataError(
            "unknown form of seqrec", received=repr(form), remedy=f"use one of {', '.join(get_args(Form))}"
        )
    match form:
        case "packed":
            return SeqRec(catalog.codes, sequences.rows, sequences.offsets, max_history=max_history)
        case "prompted":
            return PromptedSeqRec(catalog.codes, sequences, max_history=max_history)
        case "prefixes":
            return PrefixSeqRec(catalog.codes, sequences, max_history=max_history)


def serving_template(form: Form) -> Template | None:
    """The wording a model trained in this form is asked in: the first training one, None for no words."""
    return load_templates("seqrec")["next_item"].training[0] if form == "prompted" else None
