"""`fusionseqrec`: what a user chose, mixed with what is written of items.

Does not know token ids. Three forms (LC-Rec, arXiv 2311.09049, section 3.2): past IDs in, the next item's
title or its description out; past titles in, the next item's ID out.
"""

from __future__ import annotations

import numpy as np

from genrec.tasks.item_texts import ItemTexts, drawn_form
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes, Segment
from genrec.tasks.sequences import Sequences, Targets
from genrec.tasks.templates import load_templates

FORMS = ("history_to_title", "history_to_description", "titles_to_item")


class FusionSeqRec:
    """One row per user; which prefix and which form it is changes from epoch to epoch.

    Answers are never cut, so items whose description is too long are not asked for it.

    Args:
        texts: The items' texts, by catalog row.
        sequences: The users' interactions, without held-out items.
        max_history: Longest history a target is predicted from.
        max_characters: Longest description that is an answer.

    Raises:
        DataError: No user has a next item of which something is written.
    """

    name = "fusionseqrec"

    def __init__(
        self,
        texts: ItemTexts,
        sequences: Sequences,
        *,
        max_history: int = 20,
        max_characters: int = 1000,
    ) -> None:
        self.texts = texts
        self.codes = texts.catalog.codes
        self.templates = load_templates(self.name)
        self.has_title = texts.filled("title")
        self.has_description = texts.filled("description", max_characters)
        eligible = (self.has_title | self.has_description)[sequences.rows]
        eligible[1:] |= self.has_title[sequences.rows[:-1]]  # titles of the item before are enough, too
        self.targets = Targets(
            sequences, eligible, max_history=max_history, what="a next item of which something is written"
        )

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.targets)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch: about a third of the rows, the others predict texts."""
        return len(self) // len(FORMS)

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides prefix, form and template."""
        drawn = self.targets.draw(index, rng)
        titled = drawn.history[self.has_title[drawn.history]]
        has = (self.has_title[drawn.target], self.has_description[drawn.target], len(titled) > 0)
        form = drawn_form(FORMS, has, rng)
        template = self.templates[form].draw(rng, held_out=builder.held_out)
        slots: dict[str, Segment]
        match form:
            case "history_to_title":
                slots = {"title": self.texts.shown("title", [drawn.target])}
            case "history_to_description":
                slots = {"description": self.texts.shown("description", [drawn.target])}
            case _:
                slots = {
                    "titles": self.texts.shown("title", titled),
                    "item": Codes(self.codes, [drawn.target]),
                }
        return builder.fill(template, {"history": Codes(self.codes, drawn.history), **slots})
