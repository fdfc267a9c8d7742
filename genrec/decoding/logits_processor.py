"""The trie as a `LogitsProcessor`, for those who stay with the generate of transformers.

Does not know models. It reads off each row's own tokens where the row stands in the trie, so it works in any
loop that re-orders, samples or extends rows.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from transformers import LogitsProcessor

from genrec.catalog import CatalogTrie
from genrec.decoding.open_items import OpenItems, leaf_bounds
from genrec.decoding.trie_tables import TrieTables
from genrec.errors import DecodingError
from genrec.vocabulary import SemanticIdVocabulary


class SemanticIdLogitsProcessor(LogitsProcessor):
    """Sets the logits of all tokens that lead to no item to minus infinity.

    In beam search transformers applies it to log-probabilities over the whole vocabulary, which it leaves as
    they are: sums are those of `normalize="full"`. Beams that outnumber the items keep a score of minus
    infinity. `ConstrainedBeamSearch` gives the same beams many times faster.

    Args:
        trie: The catalog's trie over codes.
        vocabulary: Joins codes and token ids.
        prompt_length: Tokens of a row that generate was given (`input_ids.shape[1]`); 1 for an
            encoder-decoder, whose answers begin with the start token.
        text: `never` = the answer is one ID; `before` = text may come first, and the answer ends with the
            first ID; `around` = text and any number of IDs.
        eos_token_id: What follows a whole ID unless `text="around"`; None where generate stops there by its
            length.
        allowed: bool `[catalog rows]`, items that may come; None = all.
        device: Where generate runs.

    Raises:
        DecodingError: A trie that does not fit the vocabulary, a mask shorter than the catalog, or no prompt.
    """

    def __init__(
        self,
        trie: CatalogTrie,
        vocabulary: SemanticIdVocabulary,
        *,
        prompt_length: int,
        text: Literal["never", "before", "around"] = "never",
        eos_token_id: int | None = None,
        allowed: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if prompt_length < 1 or text not in ("never", "before", "around"):
            raise DecodingError(
                "unknown place for text, or no prompt",
                received=f"text={text!r}, prompt_length={prompt_length}",
                remedy='use text="never", "before" or "around", and the length of what generate is given',
            )
        self.tables = TrieTables(trie, vocabulary, device)
        self.open_items = OpenItems(self.tables, leaf_bounds(self.tables), allowed)
        self.prompt_length = prompt_length
        self.text = text
        self.eos_token_id = eos_token_id
        ids = torch.cat([torch.as_tensor(vocabulary.new_ids), *(x.cpu() for x in self.tables.level_ids)])
        self.reserved = ids.unique().to(device)
        self.code_of = []  # for each level int64 [tokens]: a token's code, -1 for others
        for level_ids in self.tables.level_ids:
            codes = torch.full((int(self.reserved.max()) + 1,), -1, device=level_ids.device)
            codes[level_ids] = torch.arange(len(level_ids), device=level_ids.device)
            self.code_of.append(codes)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores `[rows, vocabulary]` of the token after `input_ids [rows, tokens]`, masked."""
        level, node, ended = self._places(input_ids[:, self.prompt_length :])
        masked = torch.full_like(scores, float("-inf"))
        for depth in range(self.tables.length):
            here = (level == depth).nonzero().squeeze(1)
            if not len(here):
                continue
            children, valid = self.tables.children(depth, node[here])
            valid = valid & self.open_items.leads(depth, children)
            tokens = self.tables.tokens(depth, children)[valid]  # [open children of all rows here]
            rows = here.unsqueeze(1).expand_as(valid)[valid]
            if depth == 0 and self.text != "never":  # text tokens, and what begins an ID
                masked[here] = scores[here].index_fill(1, self.reserved, float("-inf"))
            masked[rows, tokens] = scores[rows, tokens]
        if self.eos_token_id is not None:
            masked[:, self.eos_token_id] = torch.where(
                ended, scores[:, self.eos_token_id], masked[:, self.eos_token_id]
            )
        return masked

    def _places(self, answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where rows stand after `answers [rows, tokens]`: level of the next code, node, whether all is said.

        A row that left the trie or has said all is at level -1.
        """
        tables, rows = self.tables, len(answers)
        known = answers.clamp(max=len(self.code_of[0]) - 1)
        inside = known == answers
        level = torch.zeros(rows, dtype=torch.long, device=answers.device)
        node = torch.zeros_like(level)
        ended = torch.zeros(rows, dtype=torch.bool, device=answers.device)
        # of text around IDs the last tokens tell; else an answer is read from its begin
        first = max(0, answers.shape[1] - tables.length) if self.text == "around" else 0
        for place in range(first, answers.shape[1]):
            token, valid = known[:, place], inside[:, place]
            new_level, new_node = torch.full_like(level, -1), torch.full_like(node, -1)
            if self.text != "never":  # text keeps a row where it is: before an ID
                still = (level == 0) & ~torch.isin(answers[:, place], self.reserved)
                new_level, new_node = torch.where(still, 0, new_level), torch.where(still, 0, new_node)
            if self.text == "around":  # tokens before the window may have begun an ID
                new_level, new_node = new_level.clamp(min=0), new_node.clamp(min=0)
            for depth in range(tables.length):
                code = self.code_of[depth][token]
                child = tables.child_of(depth, torch.where(level == depth, node, -1), code)
                moved = valid & (child >= 0)
                after = torch.full_like(level, depth + 1)
                if tables.levels.ends:  # a terminator ends an ID at any level
                    after = after.masked_fill(tables.levels.ended(depth, child), tables.length)
                new_level = torch.where(moved, after, new_level)
                new_node = torch.where(moved, child, new_node)
            whole = new_level == tables.length
            if self.text == "around":
                new_level, new_node = new_level.masked_fill(whole, 0), new_node.masked_fill(whole, 0)
            else:
                ended = ended | whole
                new_level, new_node = new_level.masked_fill(whole, -1), new_node.masked_fill(whole, -1)
            level, node = new_level, new_node
        return level, node, ended
