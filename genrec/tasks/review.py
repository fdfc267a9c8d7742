"""`review` of P5: an item, its rating or its review in; the summary of the review, or the rating, out.

Does not know token ids or models. P5 (arXiv 2203.13366, section 3.1) sums reviews up and guesses ratings from
them; the column `summary` holds the headlines, `review` the texts.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.reviews import RATING, REVIEW, SUMMARY, Ratings, ReviewTexts, has_column
from genrec.tasks.segments import Codes, Segment, Untrusted
from genrec.tasks.sequences import Sequences, Targets
from genrec.tasks.templates import load_templates


class Review:
    """One row per user who has summed a review up; which of the reviews it is changes from epoch to epoch.

    A row takes one of the forms that its review has the columns for.

    Args:
        codes: int32 `[catalog, L]`, Semantic ID of each catalog row.
        sequences: The users' interactions.
        summaries: Headlines of the reviews.
        reviews: The reviews; None = their forms are left out.
        ratings: The ratings; None = their forms are left out.
        max_characters: Longer summaries are left out, as answers are never cut, and so are reviews of more
            than ten times as many.

    Raises:
        DataError: No review has a summary.
    """

    name = "review"
    columns = (SUMMARY,)

    def __init__(
        self,
        codes: np.ndarray,
        sequences: Sequences,
        summaries: ReviewTexts,
        reviews: ReviewTexts | None = None,
        ratings: Ratings | None = None,
        *,
        max_characters: int = 200,
    ) -> None:
        self.codes = codes
        self.summaries = summaries
        self.reviews = reviews
        self.ratings = ratings
        self.targets = Targets(
            sequences,
            summaries.there(max_characters),
            max_history=1,
            first=True,
            what="a review with a summary",
        )
        nowhere = np.zeros(len(sequences.rows), dtype=bool)
        self.written = nowhere if reviews is None else reviews.there(10 * max_characters)
        self.rated = nowhere if ratings is None else ratings.there()
        self.forms = load_templates(self.name)

    @classmethod
    def from_log(
        cls,
        catalog: Catalog,
        log: InteractionLog,
        *,
        max_characters: int = 200,
        held_out: Collection[str] = (),
    ) -> Review:
        """Rows of a training log with the column `summary`; `review` and `rating` are used where they are.

        Raises:
            DataError: The log has no summaries, or an item that is neither held out nor in the catalog.
        """
        sequences = Sequences.from_log(catalog, log, held_out)
        places = sequences.positions
        summaries = ReviewTexts(log, SUMMARY, places, cls.name)
        reviews = ReviewTexts(log, REVIEW, places, cls.name) if has_column(log, REVIEW) else None
        ratings = Ratings(log, places, cls.name) if has_column(log, RATING) else None
        return cls(catalog.codes, sequences, summaries, reviews, ratings, max_characters=max_characters)

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
            "item": Codes(self.codes[[drawn.target]]),
            "summary": Untrusted(self.summaries[drawn.index]),
        }
        forms = ["item_to_summary"]
        if self.ratings is not None and self.rated[drawn.index]:
            lowest, highest = self.ratings.scale
            slots |= {"lowest": Untrusted(lowest), "highest": Untrusted(highest)}
            slots["rating"] = Untrusted(self.ratings[drawn.index])
            forms = ["rating_to_summary"]
        if self.reviews is not None and self.written[drawn.index]:
            slots["review"] = Untrusted(self.reviews[drawn.index])
            forms += ["review_to_summary"] + ["review_to_rating"] * ("rating" in slots)
        form = forms[int(rng.integers(len(forms)))]
        template = self.forms[form].draw(rng, held_out=builder.held_out)
        return builder.sample(*template.fill(slots))
