"""`review` of P5: an item, its rating or its review in; the summary of the review, or the rating, out.

Does not know token ids or models. P5 (arXiv 2203.13366, section 3.1) sums reviews up and guesses ratings from
them; the column `summary` holds the headlines, `review` the texts.
"""

from __future__ import annotations

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.reviews import REVIEW, SUMMARY, Ratings, ReviewTexts, has_column
from genrec.tasks.segments import Codes, Segment, Untrusted
from genrec.tasks.sequences import Sequences, Targets
from genrec.tasks.templates import load_templates


class Review:
    """One row per user who has summed a review up; which of the reviews it is changes from epoch to epoch.

    A row takes one of the forms that its review has the columns for.

    Args:
        catalog: Items and their Semantic IDs.
        sequences: The users' interactions, without held-out items.
        log: The log the sequences were made of, with the column `summary`; `review` and `rating` are used
            where they are.
        max_characters: Longer summaries are left out, as answers are never cut, and so are reviews of more
            than ten times as many.

    Raises:
        DataError: No review has a summary.
    """

    name = "review"

    def __init__(
        self,
        catalog: Catalog,
        sequences: Sequences,
        log: InteractionLog,
        *,
        max_characters: int = 200,
    ) -> None:
        self.codes = catalog.codes
        places = sequences.positions
        self.summaries = ReviewTexts(log, SUMMARY, places, self.name)
        self.reviews = ReviewTexts(log, REVIEW, places, self.name) if has_column(log, REVIEW) else None
        self.ratings = Ratings.of(log, places)
        self.targets = Targets(
            sequences,
            self.summaries.there(max_characters),
            max_history=1,
            first=True,
            what="a review with a summary",
        )
        self.longest = 10 * max_characters
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
        """Token ids and labels of row `index`; `rng` decides the review, the form and the template."""
        drawn = self.targets.draw(index, rng)
        slots: dict[str, Segment] = {
            "item": Codes(self.codes, [drawn.target]),
            "summary": Untrusted(self.summaries[drawn.index]),
        }
        forms = ["item_to_summary"]
        if self.ratings is not None and self.ratings.has(drawn.index):
            lowest, highest = self.ratings.scale
            slots |= {"lowest": Untrusted(lowest), "highest": Untrusted(highest)}
            slots["rating"] = Untrusted(self.ratings[drawn.index])
            forms = ["rating_to_summary"]
        review = self.reviews[drawn.index] if self.reviews is not None else ""
        if 0 < len(review) <= self.longest:
            slots["review"] = Untrusted(review)
            forms += ["review_to_summary"] + ["review_to_rating"] * ("rating" in slots)
        form = forms[int(rng.integers(len(forms)))]
        template = self.forms[form].draw(rng, held_out=builder.held_out)
        return builder.fill(template, slots)
