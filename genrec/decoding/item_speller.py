"""One code more of the items that a reply is about to name, by beams or one at a time.

Does not know the text around an item, nor tokens' strings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genrec.decoding.normalization import Normalization
from genrec.decoding.open_items import OpenItems
from genrec.decoding.output_head import Head
from genrec.decoding.text_sampling import TextSampling
from genrec.decoding.trie_tables import TrieTables


@dataclass(frozen=True)
class Spelled:
    """The first codes of an item.

    Attributes:
        level: Levels of the trie gone down.
        node: Of the trie, at the last of these levels.
        tokens: Token ids of the codes; fewer than the levels where a terminator came.
        score: Their summed log-probability.
        parent: Number of the row after which the last token came.
    """

    level: int
    node: int
    tokens: tuple[int, ...]
    score: float
    parent: int


class ItemSpeller:
    """Moves the beginnings of one item on by a code.

    Args:
        tables: The trie in token ids.
        head: The model's output head.
        normalize: Of the log-probabilities.
        beams: Beginnings kept; with 1 a code is chosen as `sampling` says, else the best are kept.
        sampling: How one code is chosen.
    """

    def __init__(
        self,
        tables: TrieTables,
        head: Head,
        normalize: Normalization,
        beams: int,
        sampling: TextSampling,
    ) -> None:
        self.tables = tables
        self.head = head
        self.normalize = normalize
        self.beams = beams
        self.sampling = sampling
        self.terminator = int(tables.level_ids[-1][0]) if tables.levels.ends else None
        self.root = [Spelled(0, 0, (), 0.0, -1)]

    def whole(self, spelled: list[Spelled]) -> bool:
        """Whether the beginnings are items, at the trie's end or by their terminators."""
        return all(x.level == self.tables.length or self._ended(x) for x in spelled)

    def leaf(self, spelled: Spelled) -> int:
        """The leaf of a whole item."""
        node = torch.tensor(spelled.node, device=self.tables.device)
        return int(self.tables.levels.leaves(spelled.level - 1, node)[0])

    def onward(
        self,
        spelled: list[Spelled],
        states: Tensor,
        first_row: int,
        open_items: OpenItems,
        uniform: Tensor,
        code: int | None = None,
    ) -> list[Spelled]:
        """The beginnings with one code more, best first.

        Args:
            spelled: Beginnings of one length.
            states: `[len(spelled), width]`, the states after them.
            first_row: Number of the row of the first of them.
            open_items: Items that may still be named.
            uniform: float `[1]`, a random number in [0, 1).
            code: The code, where it is chosen already.
        """
        level = spelled[0].level
        nodes = torch.tensor([beginning.node for beginning in spelled], device=states.device)
        scores = torch.tensor([beginning.score for beginning in spelled], device=states.device)
        children, logits, log_probs = self._children(level, nodes, states, open_items)  # [n, c]
        if code is not None:
            best = (self.tables.code(level, children[:1]) == code).long().argmax(-1)
        elif self.beams == 1:
            best = self.sampling.choose(logits, uniform.to(logits))
        else:
            flat = (scores.unsqueeze(1) + log_probs).flatten()
            best = flat.topk(min(self.beams, int(flat.isfinite().sum()))).indices
        beginning, place = best // children.shape[1], best % children.shape[1]
        found = children[beginning, place]
        total = scores[beginning] + log_probs[beginning, place]
        tokens = self.tables.tokens(level, found)
        rows = zip(found.tolist(), tokens.tolist(), total.tolist(), beginning.tolist(), strict=True)
        return [
            replace(spelled[i], level=level + 1, node=node)  # its terminator came before
            if self._ended(spelled[i])
            else Spelled(level + 1, node, (*spelled[i].tokens, token), score, first_row + i)
            for node, token, score, i in rows
        ]

    def _ended(self, spelled: Spelled) -> bool:
        return self.terminator is not None and spelled.tokens[-1:] == (self.terminator,)

    def _children(
        self, level: int, nodes: Tensor, states: Tensor, open_items: OpenItems
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Children of nodes, their logits and log-probabilities, all `[n, c]`; -inf for what is not open.

        A closed item takes no part in the choice, but counts in the normaliser: no filter changes a score.
        """
        tables = self.tables
        children, valid = tables.children(level, nodes)
        among = self.head.rows(states, tables.level_ids[level]).float()  # [n, codes of the position]
        logits = among.gather(1, tables.code(level, children)).masked_fill(~valid, float("-inf"))
        if self.normalize == "full":
            normalizer = self.head.log_normalizer(states).unsqueeze(1)
        elif self.normalize == "level":
            normalizer = among.logsumexp(-1, keepdim=True)
        else:
            normalizer = logits.logsumexp(-1, keepdim=True)
        logits = logits.masked_fill(~open_items.leads(level, children), float("-inf"))
        log_probs = logits - normalizer
        if tables.levels.ends and level > 0:  # below a terminator there is no token any more
            ended = tables.levels.ended(level - 1, nodes).unsqueeze(1) & logits.isfinite()
            log_probs = log_probs.masked_fill(ended, 0.0)
        return children, logits, log_probs
