"""`preferenceobtain`: what a user chose in, what the user likes out, in words (LC-Rec, arXiv 2311.09049).

Does not know where the words come from, nor token ids.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from genrec.catalog import Catalog
from genrec.errors import DataError
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes, Untrusted
from genrec.tasks.sequences import Sequences, Targets
from genrec.tasks.templates import load_templates
from genrec.tasks.text_sources import PreferenceSource, RememberedPreferences

TRIES = 100  # users passed over in a row before the source is given up


class PreferenceObtain:
    """One row per user; which part of the history it shows changes from epoch to epoch.

    A user of whom the source says nothing gives way to the next one.

    Args:
        catalog: Items and their Semantic IDs.
        sequences: The users' interactions, without held-out items.
        preferences: Where the words come from.
        max_history: Longest history of a row.

    Raises:
        DataError: No user has a history of two items, or the source says nothing of a hundred users.
    """

    name = "preferenceobtain"

    def __init__(
        self,
        catalog: Catalog,
        sequences: Sequences,
        preferences: PreferenceSource,
        *,
        max_history: int = 20,
    ) -> None:
        self.catalog = catalog
        self.preferences = RememberedPreferences(preferences, catalog)
        self.max_history = max_history
        self.form = load_templates(self.name)["preference"]
        self.newest = Targets(sequences, max_history=max_history - 1, what="two items to be described by")
        probe = np.linspace(0, len(self) - 1, min(TRIES, len(self))).astype(int).tolist()
        if self._said(probe, np.random.default_rng(0)) is None:
            raise DataError(
                "the preference source says nothing of these users",
                received=f"{len(probe)} of {len(self)} users asked about, not a word",
                remedy="give the item table categories or brands, or leave preferenceobtain out",
            )

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.newest)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch: none, texts are."""
        return 0

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides the part of the history and the template.

        Raises:
            DataError: The source says nothing of this user or of any of the next 99.
        """
        template = self.form.draw(rng, held_out=builder.held_out)
        said = self._said(range(index, index + min(TRIES, len(self))), rng)
        if said is None:
            raise DataError(
                "the preference source says nothing of any of many users",
                received=f"{min(TRIES, len(self))} users from number {index} on",
                remedy="leave preferenceobtain out, or take a source that knows more items",
            )
        history, preference = Codes(self.catalog.codes, said[0]), Untrusted(said[1])
        return builder.fill(template, {"history": history, "preference": preference})

    def _said(self, users: Iterable[int], rng: np.random.Generator) -> tuple[np.ndarray, str] | None:
        """Catalog rows and words of the first of these users of whom the source says something."""
        for user in users:
            drawn = self.newest.draw(user % len(self), rng)
            history = np.append(drawn.history, drawn.target)
            preference = self.preferences.preference(history, drawn.index)
            if preference:
                return history, preference
        return None
