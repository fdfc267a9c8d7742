"""`direct` of P5: past items and a list of candidates in, the candidate that was taken out.

Does not know token ids or models. P5 (arXiv 2203.13366, section 3.1) shows one item the user took among
others the user did not; the history stands for the user.
"""

from __future__ import annotations

import numpy as np

from genrec.catalog import Catalog
from genrec.errors import DataError
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes, Segment
from genrec.tasks.sequences import Sequences, Targets, other_items
from genrec.tasks.templates import load_templates


class Direct:
    """One row per user with two or more interactions: a random prefix, the item after it, and candidates.

    Candidates are shown in random order. The wrong ones are items of the log that the user has
    not taken there; what the user takes after the log's end is not known here, so that such an item is among
    them as often as any other. In a row that is too long the history is shortened, the candidates are not.

    Args:
        catalog: Items and their Semantic IDs.
        sequences: The users' interactions, without held-out items.
        num_candidates: Candidates in a row, the right one among them; fewer where the log has no more items.
        max_history: Longest history a target is predicted from.

    Raises:
        DataError: No user has two interactions, or fewer than two candidates are wanted.
    """

    name = "direct"

    def __init__(
        self,
        catalog: Catalog,
        sequences: Sequences,
        *,
        num_candidates: int = 20,
        max_history: int = 20,
    ) -> None:
        if num_candidates < 2:
            raise DataError(
                "a choice needs two candidates",
                received=f"num_candidates={num_candidates}",
                remedy="use 2 or more",
            )
        self.codes = catalog.codes
        self.pool = np.unique(sequences.rows)
        self.num_candidates = num_candidates
        self.targets = Targets(sequences, max_history=max_history)
        self.form = load_templates(self.name)["choice"]

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
        """Token ids and labels of row `index`; `rng` decides prefix, candidates, their order and template."""
        drawn = self.targets.draw(index, rng)
        wrong = other_items(self.pool, self.targets.taken(index), self.num_candidates - 1, rng)
        candidates = rng.permutation(np.append(wrong, drawn.target))
        template = self.form.draw(rng, held_out=builder.held_out)
        slots: dict[str, Segment] = {
            "history": Codes(self.codes, drawn.history),
            "candidates": Codes(self.codes, candidates, whole=True),
            "item": Codes(self.codes, [drawn.target]),
        }
        return builder.fill(template, slots)
