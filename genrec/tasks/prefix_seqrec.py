"""`seqrec`, a row for every prefix: a user's past items in, the next one out, and nothing else to predict.

Does not know token ids or models. An encoder reads a history in both directions, so it cannot learn several
prefixes of a user in one pass as a causal model does from packed rows.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog
from genrec.errors import DataError
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.sequences import Sequences


class PrefixSeqRec:
    """One row for every interaction but each user's first, as TIGER trains (arXiv 2305.05065, section 3.2).

    Row i is always the same prefix, so nothing is drawn. TIGER puts a token of the hashed user id (2,000 of
    them) before the history; it is left out here, because user ids never enter a bundle and recommending
    takes a history alone. A builder with a `UserTokenizer` puts codes of the prefix there.

    Args:
        codes: int32 `[catalog, L]`, Semantic ID of each catalog row.
        sequences: The users' interactions.
        max_history: Longest history a target is predicted from.

    Raises:
        DataError: No user has two interactions.
    """

    name = "seqrec"

    def __init__(self, codes: np.ndarray, sequences: Sequences, *, max_history: int = 20) -> None:
        self.codes = codes
        self.sequences = sequences
        self.max_history = max_history
        self.places = np.flatnonzero(~sequences.starts)  # [rows], each target's place in the sequences
        if len(self.places) == 0:
            raise DataError(
                "no user has a next item to learn from",
                received=f"{len(sequences.offsets) - 1} users, all with fewer than 2 interactions",
                remedy="train on a log with longer histories",
            )

    @classmethod
    def from_log(
        cls, catalog: Catalog, log: InteractionLog, *, max_history: int = 20, held_out: Collection[str] = ()
    ) -> PrefixSeqRec:
        """Rows of a training log; every item of the log, but for those held out, must be in the catalog."""
        return cls(catalog.codes, Sequences.from_log(catalog, log, held_out), max_history=max_history)

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.places)

    @property
    def num_targets(self) -> int:
        """Items predicted in one epoch."""
        return len(self)

    def window(self, index: int) -> np.ndarray:
        """Catalog rows of the history and the target of row `index`, int32 `[<= max_history + 1]`."""
        place, offsets = int(self.places[index]), self.sequences.offsets
        user = int(np.searchsorted(offsets, place, side="right")) - 1
        return self.sequences.rows[max(int(offsets[user]), place - self.max_history) : place + 1]

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`, labelled on the target alone; `rng` is not used."""
        return builder.next_item(self.codes[self.window(index)])
