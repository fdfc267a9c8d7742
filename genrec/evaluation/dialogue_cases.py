"""Dialogues as evaluation cases: one for every new item that a turn of the recommender names.

Does not know rankers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from genrec.data import Cases, Dialogues
from genrec.errors import DataError


@dataclass(frozen=True)
class DialogueCases:
    """What was said before a recommendation, and what was recommended.

    A turn that names several new items gives a case for each of them, with the same history and text (as
    ReDial is evaluated, arXiv 1812.07617 and its successors). So `recall@k` is the share of the recommended
    items that stand among the first k at their turn.

    Attributes:
        cases: User = the dialogue (numbered where it has no id), history = the items mentioned before the
            turn by either side, oldest first, target = one item of the turn that was not mentioned before.
        texts: What was said before the turn, one line a turn, `"user: …"` or `"assistant: …"`.
        turns: Number of each case's turn from 0, int64 `[cases]`.
        seen: Whether the target was mentioned in the training dialogues, bool `[cases]`.
    """

    cases: Cases
    texts: tuple[str, ...]
    turns: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(
        cls, dialogues: Dialogues, *, train: Dialogues | None = None, item_ids: Collection[str] | None = None
    ) -> DialogueCases:
        """Takes every recommendation of items that were not mentioned before.

        Args:
            dialogues: Those that judge.
            train: Those that were trained on; None = none were, so every target is unseen.
            item_ids: The items that may be recommended; other targets give no case. None = all.

        Raises:
            DataError: No turn of the recommender names a new item, or a dialogue is in both sets.
        """
        known = set() if train is None else set(train.item_ids)
        allowed = None if item_ids is None else set(item_ids)
        if train is not None:
            ids = {dialogue.dialogue_id for dialogue in train.dialogues if dialogue.dialogue_id}
            shared = [dialogue.dialogue_id for dialogue in dialogues.dialogues if dialogue.dialogue_id in ids]
            if shared:
                raise DataError(
                    f"{len(shared)} dialogues are trained on and evaluated",
                    received=repr(shared[0]),
                    remedy="take them out of one of the two sets",
                )
        rows: list[tuple[str, tuple[str, ...], str, str, int]] = []
        for number, dialogue in enumerate(dialogues.dialogues):
            mentioned: dict[str, None] = {}
            said: list[str] = []
            for place, turn in enumerate(dialogue.turns):
                if turn.role == "assistant":
                    user, text = dialogue.dialogue_id or f"dialogue {number}", "\n".join(said)
                    new = [item for item in turn.item_ids if item not in mentioned]
                    rows += [
                        (user, tuple(mentioned), item, text, place)
                        for item in dict.fromkeys(new)
                        if allowed is None or item in allowed
                    ]
                mentioned |= dict.fromkeys(turn.item_ids)
                said.append(f"{turn.role}: {turn.text}")
        if not rows:
            raise DataError(
                "no turn of the recommender names an item that was not mentioned before",
                received=f"{len(dialogues)} dialogues",
                remedy='check the roles ("assistant" recommends), item_ids and the items allowed',
            )
        users, histories, targets, texts, turns = zip(*rows, strict=True)
        return cls(
            Cases(users, histories, targets),
            texts,
            np.array(turns, dtype=np.int64),
            np.array([target in known for target in targets]),
        )

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.cases)

    def slices(self) -> dict[str, np.ndarray]:
        """Targets that occur in the training dialogues, and those that do not; bool `[cases]` each."""
        return {"seen targets": self.seen, "unseen targets": ~self.seen}
