"""`itemsearch`: what a user asks for in, the Semantic ID of the item wanted out (LC-Rec, arXiv 2311.09049).

Does not know where queries and preferences come from, nor token ids.
"""

from __future__ import annotations

import numpy as np

from genrec.catalog import Catalog
from genrec.tasks.item_texts import drawn_form
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes, ColumnTexts, Segment, Untrusted
from genrec.tasks.sequences import Sequences, Targets
from genrec.tasks.templates import load_templates
from genrec.tasks.text_columns import TextColumn
from genrec.tasks.text_sources import PreferenceSource, QuerySource, RememberedPreferences

FORMS = ("query", "history_query", "preference_query", "history_preference")


class ItemSearch:
    """One row per user who chose an item that has queries; item, form and query change from epoch to epoch.

    Queries are made of the target, preferences only of what the user had before it.

    Args:
        catalog: Items and their Semantic IDs.
        sequences: The users' interactions, without held-out items.
        queries: Where queries come from; asked once for every item that is a target.
        preferences: Where preferences come from; None = the forms with one are left out.
        max_history: Longest history of a row.

    Raises:
        DataError: No user chose an item that has queries.
    """

    name = "itemsearch"

    def __init__(
        self,
        catalog: Catalog,
        sequences: Sequences,
        queries: QuerySource,
        preferences: PreferenceSource | None = None,
        *,
        max_history: int = 20,
    ) -> None:
        self.catalog = catalog
        self.preferences = RememberedPreferences(preferences, catalog) if preferences is not None else None
        self.templates = load_templates(self.name)
        counts = np.zeros(len(catalog), dtype=np.int64)
        texts: list[str] = []
        for row in np.unique(sequences.rows).tolist():
            found = [query for query in queries.queries(catalog.item_ids[row]) if query.strip()]
            counts[row] = len(found)
            texts += found
        self.begins = np.concatenate([[0], np.cumsum(counts)])  # [catalog + 1], into the queries
        self.queries = TextColumn("queries", texts)
        self.targets = Targets(
            sequences,
            counts[sequences.rows] > 0,
            max_history=max_history,
            first=True,
            what="chosen an item that has queries",
        )

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
        """Token ids and labels of row `index`; `rng` decides target, form, query and template."""
        drawn = self.targets.draw(index, rng)
        begin, end = self.begins[drawn.target], self.begins[drawn.target + 1]
        query = int(begin + rng.integers(end - begin))
        past, form = len(drawn.history) > 0, FORMS[int(rng.integers(len(FORMS)))]
        preference = ""
        if self.preferences is not None and past and "preference" in form:
            preference = self.preferences.preference(drawn.history, drawn.index)
        if "preference" in form and not preference:
            form = drawn_form(FORMS[:2], (True, past), rng)
        elif not past:
            form = "query"
        template = self.templates[form].draw(rng, held_out=builder.held_out)
        slots: dict[str, Segment] = {
            "query": ColumnTexts(self.queries, [query]),
            "history": Codes(self.catalog.codes, drawn.history),
            "preference": Untrusted(preference),
            "item": Codes(self.catalog.codes, [drawn.target]),
        }
        return builder.fill(template, slots)
