"""One reply of text and items in the making: what is out already, what comes next, when it ends.

Does not know models: it is handed each chosen token and hands back the rows to decode next.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genrec.decoding.item_speller import ItemSpeller, Spelled
from genrec.decoding.mixed_events import Finished, FinishReason, MixedEvent, NamedItem, TextPiece
from genrec.decoding.open_items import OpenItems
from genrec.decoding.text_pieces import TextPieces
from genrec.decoding.trie_tables import TrieTables


class ReplyWriter:
    """The reply to one prompt.

    Args:
        prompt: Its number in the batch.
        tables: The trie in token ids.
        open_items: Items that may be named.
        pieces: Turns tokens into text.
        seed: Of the random numbers.
        max_new_tokens: Tokens of the reply.
        max_items: Items of the reply, None = any number.
        repeat_items: Whether an item may be named twice.
    """

    def __init__(
        self,
        prompt: int,
        tables: TrieTables,
        open_items: OpenItems,
        pieces: TextPieces,
        *,
        seed: int,
        max_new_tokens: int,
        max_items: int | None,
        repeat_items: bool,
    ) -> None:
        self.prompt = prompt
        self.tables = tables
        self.open_items = open_items
        self.pieces = pieces
        self.generator = torch.Generator().manual_seed(seed)
        self.room = max_new_tokens
        self.items_left = max_items
        self.repeat_items = repeat_items
        self.token_ids: list[int] = []
        self.spelled: list[Spelled] = []  # beginnings of the item that is being named; [] in text
        self.rows: list[tuple[int, int]] = []  # tokens to decode next, and the rows they continue
        self.done = False

    def uniform(self) -> Tensor:
        """The next random number in [0, 1), `[1]`."""
        return torch.rand(1, generator=self.generator)

    def first_codes(self) -> Tensor:
        """Which codes may begin an item here, bool `[codes of position 0]`."""
        codes = self.tables.levels.codes[0].long()
        may = torch.zeros(len(self.tables.level_ids[0]), dtype=torch.bool, device=codes.device)
        if self.items_left == 0 or self.room < self.tables.length:
            return may
        may[codes] = self.open_items.leads(0, torch.arange(len(codes), device=codes.device))
        return may

    def take_text(self, token: int, row: int, stop_ids: frozenset[int]) -> Iterator[MixedEvent]:
        """Takes a token of text, chosen after row `row`."""
        if token in stop_ids:
            yield from self._end("stop")
            return
        self.token_ids.append(token)
        self.rows = [(token, row)]
        text = self.pieces.add(token)
        if text:
            yield TextPiece(self.prompt, text)
        self.room -= 1
        if self.room == 0:
            yield from self._end("length")

    def take_codes(self, spelled: list[Spelled], speller: ItemSpeller) -> Iterator[MixedEvent]:
        """Takes the beginnings of an item with one code more; names the best where they are whole."""
        if not self.spelled:  # the item's first code: the text before it ends here
            text = self.pieces.end()
            if text:
                yield TextPiece(self.prompt, text)
        self.spelled = spelled
        self.rows = [(beginning.tokens[-1], beginning.parent) for beginning in spelled]
        if not speller.whole(spelled):
            return
        best = spelled[0]
        leaf = torch.tensor(speller.leaf(best), device=self.tables.device)
        self.spelled, self.rows = [], self.rows[:1]
        self.token_ids += best.tokens
        self.room -= len(best.tokens)
        if self.items_left is not None:
            self.items_left -= 1
        if not self.repeat_items:
            self.open_items.close(int(leaf))
        codes = tuple(self.tables.levels.leaf_codes(leaf).tolist())
        yield NamedItem(self.prompt, int(self.tables.levels.rows[leaf]), codes, best.score)
        if self.room == 0:
            yield from self._end("length")

    def _end(self, reason: FinishReason) -> Iterator[MixedEvent]:
        text = self.pieces.end()
        if text:
            yield TextPiece(self.prompt, text)
        self.done = True
        yield Finished(self.prompt, reason, tuple(self.token_ids))
