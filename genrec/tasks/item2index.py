"""`item2index`: what is written of an item in, its Semantic ID out (LC-Rec, arXiv 2311.09049, section 3.2).

Does not know users or token ids.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from genrec.tasks.item_texts import ItemForms, ItemTexts, held_out_rows
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes, Segment
from genrec.tasks.templates import load_templates


class Item2Index:
    """One row per item with a title or a description; which of them it shows changes from epoch to epoch.

    Args:
        texts: The items' texts, by catalog row.
        held_out: Ids of items that no training row may name.

    Raises:
        DataError: No item has a title or a description.
    """

    name = "item2index"

    def __init__(self, texts: ItemTexts, *, held_out: Collection[str] = ()) -> None:
        self.texts = texts
        self.codes = texts.catalog.codes
        self.templates = load_templates(self.name)
        title, description = texts.filled("title"), texts.filled("description")
        forms = {"title": title, "description": description, "title_description": title & description}
        excluded = held_out_rows(texts.catalog, held_out)
        self.forms = ItemForms(forms, excluded, what="a title or a description to tell its ID by")

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.forms)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch."""
        return len(self)

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides form and template."""
        row, form = self.forms.draw(index, rng)
        template = self.templates[form].draw(rng, held_out=builder.held_out)
        slots: dict[str, Segment] = {"item": Codes(self.codes, [row])}
        for field in form.split("_"):
            slots[field] = self.texts.shown(field, [row])
        return builder.fill(template, slots)
