"""How a model that has learned from queries is asked with one.

Does not know filters, items' texts or search: tasks the model was trained on in, token ids out.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from genrec.tasks import Codes, PromptBuilder, Segment, Turn, Untrusted, load_templates

QUERY_TASKS = ("itemsearch", "query2index")  # the first one trained on is asked in


class QueryPrompts:
    """Prompts of a query in the first training wording of the task that taught the model queries.

    Args:
        builder: The prompt builder of training.
        tasks: Names of the tasks the model was trained on.
        longest: Characters of a query that count; what follows is cut.
    """

    def __init__(self, builder: PromptBuilder, tasks: Collection[str], *, longest: int = 2000) -> None:
        self.builder = builder
        self.longest = longest
        self.task = next((task for task in QUERY_TASKS if task in tasks), None)

    @property
    def known(self) -> bool:
        """Whether the model was trained on queries."""
        return self.task is not None

    def prompt(self, query: str, codes: np.ndarray) -> np.ndarray:
        """Prompt of a query after a history, int64 `[tokens]`.

        Args:
            query: Untrusted text.
            codes: int `[items, L]`, the history, oldest first; the newest `max_history` count, and only where
                the task has a wording with a history.
        """
        forms = load_templates(self.task or QUERY_TASKS[0])
        form = forms["history_query"] if len(codes) and "history_query" in forms else forms["query"]
        slots: dict[str, Segment | list[Segment]] = {
            "query": Untrusted(query[: self.longest]),
            "history": Codes(codes[-self.builder.max_history :]),
        }
        reserve = self.builder.vocabulary.spec.num_tokens + len(self.builder.end_ids)
        return self.builder.prompt([Turn("user", form.training[0].fill_prompt(slots))], reserve=reserve)
