"""`query2index`: a query in, the Semantic ID of a document that answers it out.

Does not know where synthetic queries come from, nor token ids. In the manner of DSI (arXiv 2202.06991) as
DSI-QG (arXiv 2206.10128) improved it: documents are indexed by queries made for them, and by queries that
people have asked, where there are any. Their texts are `item2index`'s to learn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from genrec.catalog import Catalog
from genrec.data import SearchTask
from genrec.errors import DataError
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes, ColumnTexts, Segment
from genrec.tasks.templates import load_templates
from genrec.tasks.text_columns import TextColumn
from genrec.tasks.text_sources import QuerySource


class Query2Index:
    """One row per given pair, and one per item of which the source has queries, another query each epoch.

    Args:
        catalog: Items and their Semantic IDs.
        queries: Where synthetic queries come from; asked once for every item that is not held out. None =
            given pairs alone.
        pairs: Query and item id, for training: judgments of a test split are no part of them. Those of items
            that are held out, and repeats, are left out.
        held_out: Ids of items that no training row may name.

    Raises:
        DataError: There is nothing to learn from, or a pair names an item the catalog does not have.
    """

    name = "query2index"

    def __init__(
        self,
        catalog: Catalog,
        queries: QuerySource | None,
        pairs: Iterable[tuple[str, str]] = (),
        *,
        held_out: Collection[str] = (),
    ) -> None:
        self.codes = catalog.codes
        self.form = load_templates(self.name)["query"]
        hidden = {*held_out, *catalog.retired_ids}
        given = [(text.strip(), item) for text, item in dict.fromkeys(pairs) if item not in hidden]
        given = [(text, item) for text, item in given if text]
        rows, ends = catalog.rows([item for _, item in given]).tolist(), list(range(1, len(given) + 1))
        texts = [text for text, _ in given]
        for row, item in enumerate(catalog.item_ids if queries is not None else ()):
            found = [] if item in hidden or queries is None else queries.queries(item)
            texts += [text for text in found if text.strip()]
            if len(texts) > (ends[-1] if ends else 0):
                rows.append(row)
                ends.append(len(texts))
        if not rows:
            raise DataError(
                "there is no query to learn from",
                received=f"{len(catalog)} items, {len(hidden)} held out, no pair, no query from the source",
                remedy="give query-item pairs, or an item table with categories, brands or descriptions",
            )
        self.rows = np.array(rows, dtype=np.int32)  # [rows], catalog row of each
        self.begins = np.array([0, *ends], dtype=np.int64)  # [rows + 1], into the texts
        self.texts = TextColumn("queries", texts)

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.rows)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch."""
        return len(self)

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides query and template."""
        query = int(rng.integers(self.begins[index], self.begins[index + 1]))
        template = self.form.draw(rng, held_out=builder.held_out)
        slots: dict[str, Segment] = {
            "query": ColumnTexts(self.texts, [query]),
            "item": Codes(self.codes, [self.rows[index]]),
        }
        return builder.fill(template, slots)


def judged_pairs(task: SearchTask, split: str = "train") -> list[tuple[str, str]]:
    """Queries and the items that answer them, in the order of the judgments of a split.

    Raises:
        DataError: There is no such split.
    """
    return [
        (task.queries[query], item)
        for query in task.judged(split)
        for item, grade in task.qrels[split][query].items()
        if grade > 0
    ]
