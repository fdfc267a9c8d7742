"""`Dialogues`: conversations of a user and a recommender, with the items that each turn names.

Does not know prompts or Semantic IDs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genrec.data.canonical import canonical_order
from genrec.data.column import Column, Place, kind_of
from genrec.data.items import ItemTable
from genrec.data.readers import read_source
from genrec.data.source import Source
from genrec.data.values import text_values
from genrec.errors import DataError

Speaker = Literal["user", "assistant"]
SPEAKERS: tuple[Speaker, ...] = ("user", "assistant")
EXAMPLE = '{"role": "user", "text": "Something like Alien?", "item_ids": ["a17"]}'

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DialogueTurn:
    """What one side says.

    Attributes:
        role: `"user"`, or `"assistant"` for the recommender.
        text: The words, item titles among them.
        item_ids: The items they name, in any order.
    """

    role: Speaker
    text: str
    item_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialogue:
    """One conversation.

    Attributes:
        dialogue_id: Its name, "" where it has none.
        turns: What is said, in order; either side may begin, or speak twice.
        split: The part of the data set it belongs to, "" where the source does not say.
    """

    dialogue_id: str
    turns: tuple[DialogueTurn, ...]
    split: str = ""


class Dialogues:
    """Conversations in the order of the file; immutable.

    Args:
        dialogues: At least one.

    Raises:
        DataError: There is none.
    """

    def __init__(self, dialogues: Iterable[Dialogue]) -> None:
        self.dialogues = tuple(dialogues)
        if not self.dialogues:
            raise DataError("there are no dialogues", received="none", remedy="pass one or more")

    @classmethod
    def read(
        cls, source: str | Path, *, columns: Mapping[str, str] | None = None, items: ItemTable | None = None
    ) -> Dialogues:
        """Reads conversations in the layout of ReDial-style files, one a line.

        A line is an object with `turns`, a list of `{"role": "user" | "assistant", "text": ..., "item_ids":
        [...]}`, and where wanted `dialogue_id` and `split`; other keys are passed over, and `item_ids` may be
        left out of a turn that names no item.

        Args:
            source: A jsonl or parquet file, a folder of `datasets`, or the name of a data set on the hub.
            columns: Our column name -> the source's, where they differ.
            items: Mentions of items this table does not have are left out and counted in the log (logging).

        Raises:
            DataError: Whatever is wrong, with file, line and column.
        """
        return cls._of(read_source(source, columns=columns, texts=("dialogue_id",)), items)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], items: ItemTable | None = None) -> Dialogues:
        """Takes one mapping a conversation; see `read`."""
        return cls._of(Source.of_rows(rows, Place("rows")), items)

    @classmethod
    def _of(cls, source: Source, items: ItemTable | None) -> Dialogues:
        source.require("turns")
        turns = source.columns["turns"]
        spoken = [_turns(turns, row, value) for row, value in enumerate(turns.python())]
        if items is not None:
            spoken = _without_strangers(spoken, items, turns.place.name)
        names, splits = (
            text_values(source.columns[name]).to_pylist() if name in source.columns else [""] * len(spoken)
            for name in ("dialogue_id", "split")
        )
        return cls(Dialogue(*row) for row in zip(names, spoken, splits, strict=True))

    def __len__(self) -> int:
        """Number of conversations."""
        return len(self.dialogues)

    def __getitem__(self, index: int) -> Dialogue:
        """One conversation."""
        return self.dialogues[index]

    @property
    def item_ids(self) -> list[str]:
        """Items that are named anywhere, in canonical order."""
        return canonical_order(i for d in self.dialogues for turn in d.turns for i in turn.item_ids)

    def of_split(self, split: str) -> Dialogues:
        """The conversations of one part of the data set.

        Raises:
            DataError: There is none.
        """
        kept = [dialogue for dialogue in self.dialogues if dialogue.split == split]
        if not kept:
            raise DataError(
                "no dialogue belongs to this split",
                received=repr(split),
                remedy=f"use one of {', '.join(sorted({repr(d.split) for d in self.dialogues}))}",
            )
        return Dialogues(kept)


def _turns(column: Column, row: int, value: Any) -> tuple[DialogueTurn, ...]:
    if not isinstance(value, list | tuple) or not value:
        what = "no turn" if value in (None, [], ()) else kind_of(value)
        column.fail(row, f"not a list of turns but {what}", value, f"write turns such as {EXAMPLE}")
    return tuple(_turn(column, row, number, turn) for number, turn in enumerate(value, start=1))


def _turn(column: Column, row: int, number: int, turn: Any) -> DialogueTurn:
    if not isinstance(turn, Mapping):
        column.fail(row, f"turn {number} is {kind_of(turn)}", turn, f"write turns such as {EXAMPLE}")
    role, text, item_ids = turn.get("role"), turn.get("text"), turn.get("item_ids") or []
    if role not in SPEAKERS:
        column.fail(row, f"turn {number} has an unknown role", role, 'use "user" or "assistant"')
    if not isinstance(text, str):
        column.fail(row, f"turn {number} has no text", text, f"write turns such as {EXAMPLE}")
    fit = isinstance(item_ids, list | tuple) and all(
        isinstance(item, str) or (isinstance(item, int) and not isinstance(item, bool)) for item in item_ids
    )
    if not fit:
        remedy = 'write a list of ids, such as ["a17", "b2"]'
        column.fail(row, f"turn {number} has item_ids that are no list of ids", item_ids, remedy)
    return DialogueTurn(role, text, tuple(dict.fromkeys(map(str, item_ids))))


def _without_strangers(
    spoken: list[tuple[DialogueTurn, ...]], items: ItemTable, name: str
) -> list[tuple[DialogueTurn, ...]]:
    mentions = [item for turns in spoken for turn in turns for item in turn.item_ids]
    strangers = sum(item not in items for item in mentions)
    if not strangers:
        return spoken
    if strangers == len(mentions):
        raise DataError(
            f"{name}: no item that is named is in the item table",
            received=f"{mentions[0]!r} and {len(mentions) - 1} more",
            remedy=f"mend the ids or the item table, which has ids such as {items.item_ids[0]!r}",
        )
    logger.warning(
        "%s: %d of %d mentions are left out: their items are not in the item table",
        name,
        strangers,
        len(mentions),
    )
    return [
        tuple(
            DialogueTurn(turn.role, turn.text, tuple(item for item in turn.item_ids if item in items))
            for turn in turns
        )
        for turns in spoken
    ]
