"""`rating` of P5: past items and one more in, the rating the user gives it out.

Does not know token ids or models. P5 (arXiv 2203.13366, section 3.1) names the user by an id; here the
history stands for the user, because user ids never enter a model.
"""

from __future__ import annotations

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.reviews import Ratings
from genrec.tasks.segments import Codes, Segment, Untrusted
from genrec.tasks.sequences import Sequences, Targets
from genrec.tasks.templates import load_templates


class Rating:
    """One row per user with a rated item after the first; which of them it is changes from epoch to epoch.

    Args:
        catalog: Items and their Semantic IDs.
        sequences: The users' interactions, without held-out items.
        log: The log the sequences were made of, with the column `rating`.
        max_history: Items kept before the rated one.

    Raises:
        DataError: The log has no ratings, or no user has a rated item after the first.
    """

    name = "rating"

    def __init__(
        self, catalog: Catalog, sequences: Sequences, log: InteractionLog, *, max_history: int = 20
    ) -> None:
        self.codes = catalog.codes
        self.ratings = Ratings(log, sequences.positions, self.name)
        self.targets = Targets(
            sequences, self.ratings.there(), max_history=max_history, what="a rated item after the first"
        )
        self.form = load_templates(self.name)["stars"]

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.targets)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch: none, ratings are."""
        return 0

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides the rated item and the template."""
        drawn = self.targets.draw(index, rng)
        template = self.form.draw(rng, held_out=builder.held_out)
        lowest, highest = self.ratings.scale
        slots: dict[str, Segment] = {
            "history": Codes(self.codes, drawn.history),
            "item": Codes(self.codes, [drawn.target]),
            "lowest": Untrusted(lowest),
            "highest": Untrusted(highest),
            "rating": Untrusted(self.ratings[drawn.index]),
        }
        return builder.fill(template, slots)
