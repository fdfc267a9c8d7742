"""`sequential` of P5: past items in, the next item out, in P5's three ways of asking.

Does not know token ids or models. P5 (arXiv 2203.13366, section 3.1) asks for the next item, for the next one
of a list, and whether an item is the next; the second is `genrec.tasks.direct`. The history stands for the
user.
"""

from __future__ import annotations

import numpy as np

from genrec.catalog import Catalog
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes, Segment, Trusted
from genrec.tasks.sequences import Sequences, Targets, other_items
from genrec.tasks.templates import load_templates

ASKED_WHETHER = 0.2  # share of rows that ask whether an item is the next


class Sequential:
    """One row per user with two or more interactions: a random prefix, and what came after it.

    Some rows ask whether an item came next; a wrong one is an item of the log that the user has not taken.

    Args:
        catalog: Items and their Semantic IDs.
        sequences: The users' interactions, without held-out items.
        max_history: Longest history a target is predicted from.

    Raises:
        DataError: No user has two interactions.
    """

    name = "sequential"

    def __init__(self, catalog: Catalog, sequences: Sequences, *, max_history: int = 20) -> None:
        self.codes = catalog.codes
        self.pool = np.unique(sequences.rows)
        self.targets = Targets(sequences, max_history=max_history)
        self.forms = load_templates(self.name)

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.targets)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch, on average."""
        return round((1 - ASKED_WHETHER) * len(self))

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides prefix, question and template."""
        drawn = self.targets.draw(index, rng)
        slots: dict[str, Segment] = {"history": Codes(self.codes, drawn.history)}
        item = drawn.target
        whether = rng.random() < ASKED_WHETHER
        if whether:
            others = other_items(self.pool, self.targets.taken(index), 1, rng)
            yes = not len(others) or rng.random() < 0.5
            item = item if yes else int(others[0])
            slots["truth"] = Trusted("yes" if yes else "no")
        slots["item"] = Codes(self.codes, [item])
        template = self.forms["whether" if whether else "next_item"].draw(rng, held_out=builder.held_out)
        return builder.fill(template, slots)
