"""`dialogue`: a conversation in, the recommender's reply out, with Semantic IDs in place of titles.

Does not know token ids or models. What a user says stays text, as it will be when people talk to the model;
what the recommender said before has its Semantic IDs, as the model itself will have said it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np

from genrec.catalog import Catalog
from genrec.data import Dialogue, Dialogues, DialogueTurn, ItemTable
from genrec.errors import DataError
from genrec.tasks.prompts import PromptBuilder
from genrec.tasks.segments import Codes, Segment, Turn, Untrusted
from genrec.tasks.templates import load_templates

YEAR = re.compile(r"\s*\(\d{4}\)$")
FEWEST_CHARACTERS = 4  # of a wording that is looked for in any case, or without its year: "It" is not


class DialogueReply:
    """One row per reply of the recommender that follows something the user said.

    Turns of one side that follow each other are joined, and what the recommender says before the user's first
    word is left out: chat templates want the two to alternate, the user first.

    Args:
        catalog: Items and their Semantic IDs.
        items: Their titles.
        dialogues: The conversations; mentions of items that the catalog does not have stay text.
        max_turns: Turns shown before a reply at the most, the newest ones.
        max_characters: Longer replies are left out: answers are never cut.
        held_out: Ids of items; a row that would show or name one is left out.

    Raises:
        DataError: No reply is left, or `max_turns` is below 1.
    """

    name = "dialogue"

    def __init__(
        self,
        catalog: Catalog,
        items: ItemTable,
        dialogues: Dialogues,
        *,
        max_turns: int = 7,
        max_characters: int = 600,
        held_out: Collection[str] = (),
    ) -> None:
        if max_turns < 1:
            raise DataError(
                "a reply needs something to reply to",
                received=f"max_turns={max_turns}",
                remedy="use 1 or more",
            )
        self.catalog = catalog
        self.items = items
        self.max_turns = max_turns
        self.form = load_templates(self.name)["reply"]
        self.dialogues = [_alternating(dialogue) for dialogue in dialogues.dialogues]
        hidden = set(held_out)
        self.rows: list[tuple[int, int]] = []  # dialogue, and place of the reply in it
        self.num_targets = 0
        for number, turns in enumerate(self.dialogues):
            for place in range(1, len(turns), 2):
                shown = turns[self._first(place) : place + 1]
                named = {item for turn in shown for item in turn.item_ids}
                reply = turns[place].text.strip()
                if named.isdisjoint(hidden) and 0 < len(reply) <= max_characters:
                    self.rows.append((number, place))
                    self.num_targets += sum(isinstance(s, Codes) for s in self._said(turns[place]))
        if not self.rows:
            raise DataError(
                "no dialogue has a reply to learn from",
                received=f"{len(dialogues)} dialogues",
                remedy="a reply is a turn of the assistant after one of the user, without held-out items",
            )

    def __len__(self) -> int:
        """Number of rows an epoch."""
        return len(self.rows)

    def row(
        self, index: int, rng: np.random.Generator, builder: PromptBuilder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels of row `index`; `rng` decides the template."""
        number, place = self.rows[index]
        turns = self.dialogues[number]
        template = self.form.draw(rng, held_out=builder.held_out)
        first = self._first(place)
        asked, reply = template.fill({"message": self._said(turns[first]), "reply": self._said(turns[place])})
        before = [Turn(turn.role, self._said(turn)) for turn in turns[first + 1 : place]]
        return builder.conversation([Turn("user", asked), *before], reply)

    def _first(self, place: int) -> int:
        """Place of the first turn that is shown before a reply; a user's, as every even place is."""
        return max(0, place - self.max_turns + (self.max_turns + 1) % 2)

    def _said(self, turn: DialogueTurn) -> list[Segment]:
        if turn.role == "user":
            return [Untrusted(turn.text)]
        named = {
            self.items.title(item): self.catalog.codes[self.catalog.rows([item])]
            for item in turn.item_ids
            if item in self.catalog and item in self.items
        }
        return with_ids(turn.text, named)


def with_ids(text: str, named: Mapping[str, np.ndarray]) -> list[Segment]:
    """A text with Semantic IDs in place of titles; a title that is not found leaves the text as it is.

    A title is found as whole words, as it is written or, where it is long enough to be told from common
    words, in any case and without its year in brackets. Of two that overlap the longer one is replaced.

    Args:
        text: Untrusted.
        named: Title -> codes, int `[1, L]`.
    """
    text = text.strip()
    spans = [(*span, codes) for title, codes in named.items() for span in _found(title, text)]
    spans.sort(key=lambda span: (span[0] - span[1], span[0]))  # the longest first
    kept: list[tuple[int, int, np.ndarray]] = []
    for begin, end, codes in spans:
        if all(end <= other[0] or other[1] <= begin for other in kept):
            kept.append((begin, end, codes))
    segments: list[Segment] = []
    place = 0
    for begin, end, codes in sorted(kept, key=lambda span: span[0]):
        segments += [Untrusted(text[place:begin], blanks=True)] * (place < begin) + [Codes(codes)]
        place = end
    return segments + [Untrusted(text[place:], blanks=True)] * (place < len(text))


def _found(title: str, text: str) -> list[tuple[int, int]]:
    """Gives where a title stands, in the first wording that occurs at all."""
    wordings = [(title, re.NOFLAG)]
    for wording in (title, YEAR.sub("", title)):
        if len(wording) >= FEWEST_CHARACTERS:
            wordings += [(wording, re.NOFLAG), (wording, re.IGNORECASE)]
    for wording, flags in wordings:
        pattern = rf"(?<!\w){re.escape(wording)}(?!\w)" if wording else r"(?!)"
        spans = [found.span() for found in re.finditer(pattern, text, flags)]
        if spans:
            return spans
    return []


def _alternating(dialogue: Dialogue) -> list[DialogueTurn]:
    turns: list[DialogueTurn] = []
    for turn in dialogue.turns:
        if not turn.text.strip() or (not turns and turn.role == "assistant"):
            continue
        if turns and turns[-1].role == turn.role:
            last = turns.pop()
            items = tuple(dict.fromkeys((*last.item_ids, *turn.item_ids)))
            turn = DialogueTurn(turn.role, f"{last.text}\n{turn.text}", items)
        turns.append(turn)
    return turns
