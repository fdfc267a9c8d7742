"""`explanation` of P5: past items and one more in, why the user likes it, or not, out.

Does not know token ids or models. P5 (arXiv 2203.13366, section 3.1) takes sentences of reviews for
explanations; the column `explanation` holds them. The history stands for the user.
"""

from __future__ import annotations

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.reviews import EXPLANATION, Ratings, ReviewTexts
from genrec.tasks.segments import Codes, Segment, Untrusted
from genrec.tasks.sequences import Sequences, Targets
from genrec.tasks.templates import load_templates


class Explanation:
    """One row per user with an explained item after the first; which it is changes from epoch to epoch.

    Args:
        catalog: Items and their Semantic IDs.
        sequences: The users' interactions, without held-out items.
        log: The log the sequences were made of, with the column `explanation`; `rating` is used where it is.
        max_history: Items kept before the explained one.
        max_characters: Longer explanations are left out: answers are never cut.

    Raises:
        DataError: The log has no explanations, or no user has an explained item after the first.
    """

    name = "explanation"

    def __init__(
        self,
        catalog: Catalog,
        sequences: Sequences,
        log: InteractionLog,
        *,
        max_history: int = 20,
        max_characters: int = 400,
    ) -> None:
        self.codes = catalog.codes
        self.explanations = ReviewTexts(log, EXPLANATION, sequences.positions, self.name)
        self.ratings = Ratings.of(log, sequences.positions)
        self.targets = Targets(
            sequences,
            self.explanations.there(max_characters),
            max_history=max_history,
            what="an explained item after the first",
        )
        self.forms = load_templates(self.name)

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.targets)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch: none, texts are."""
        return 0

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides the item, the form and the template."""
        drawn = self.targets.draw(index, rng)
        slots: dict[str, Segment] = {
            "history": Codes(self.codes, drawn.history),
            "item": Codes(self.codes, [drawn.target]),
            "explanation": Untrusted(self.explanations[drawn.index]),
        }
        form = "plain"
        if self.ratings is not None and self.ratings.has(drawn.index):
            form = ("plain", "rated")[int(rng.integers(2))]
            slots["rating"] = Untrusted(self.ratings[drawn.index])
            slots["highest"] = Untrusted(self.ratings.scale[1])
        template = self.forms[form].draw(rng, held_out=builder.held_out)
        return builder.fill(template, slots)
