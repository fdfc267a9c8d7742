"""The loss of Semantic-ID tokens, normalised as constrained decoding will normalise them.

Does not know batches' sources, optimisers or searches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from genrec.catalog import CatalogTrie
from genrec.decoding import Head, Normalization, TrieTables, candidate_log_probs
from genrec.errors import TrainingError
from genrec.tasks import IGNORED_LABEL
from genrec.vocabulary import SemanticIdVocabulary


@dataclass(frozen=True)
class _Labelled:
    """The labelled tokens of a batch whose rows stand one after the other.

    Attributes:
        places: Where the labelled tokens of each ID position stand, and last those that are scored against
            the whole vocabulary; int64 `[n]` each, ascending. The token before a place predicts it.
        code: int64 `[batch * tokens]`, as in `parents`; so are the other two.
        parent: Node of each token's prefix.
        node: Each token's own node.
    """

    places: tuple[Tensor, ...]
    code: Tensor
    parent: Tensor
    node: Tensor


class SemanticIdLoss:
    """Summed cross-entropy of the labelled tokens.

    A labelled Semantic-ID token is scored against the trie's children of its true prefix (`allowed`), the
    tokens of its position (`level`) or the whole vocabulary (`full`); a labelled text token always against
    the whole vocabulary.

    Args:
        trie: The catalog's trie.
        vocabulary: Codes to token ids.
        normalize: The normaliser.
        device: Where batches come.
    """

    def __init__(
        self,
        trie: CatalogTrie,
        vocabulary: SemanticIdVocabulary,
        normalize: Normalization,
        device: torch.device | str = "cpu",
    ) -> None:
        self.normalize: Normalization = normalize
        self.tables = TrieTables(trie, vocabulary, device)
        self.level_of = torch.as_tensor(vocabulary.position_of, device=device).long()
        self.code_of = torch.as_tensor(vocabulary.code_of, device=device).long()
        self.terminator = vocabulary.terminator_id

    def parents(self, input_ids: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What every token is in the trie.

        Returns:
            Its trie level (-1 for other tokens), its code, the node of its prefix and its own node (-1 for
            none), all int64 `[batch, tokens]`. The prefix of a first-position token is the root, node 0. A
            terminator stands at the level behind the token before it.
        """
        known = input_ids.clamp(max=len(self.level_of) - 1)
        inside = known == input_ids
        level = torch.where(inside, self.level_of[known], -1)
        code = torch.where(inside, self.code_of[known], -1)
        parent = torch.where(level == 0, 0, -1)
        node = torch.full_like(parent, -1)
        for position in range(self.tables.length):
            here = level == position
            if position > 0 and self.tables.levels.ends:
                last = functional.pad(level, (1, 0), value=-1)[:, :-1] == position - 1
                ended = last & (input_ids == self.terminator)
                level = level.masked_fill(ended, position)
                code = code.masked_fill(ended, self.tables.levels.ends[position])
                here = here | ended
            if position > 0:
                before = functional.pad(node, (1, 0), value=-1)[:, :-1]  # the node the token before led to
                parent = torch.where(here, before, parent)
            node = torch.where(here, self.tables.child_of(position, parent, code), node)
        return level, code, parent, node

    def __call__(self, hidden: Tensor, head: Head, input_ids: Tensor, labels: Tensor) -> Tensor:
        """Sum over the labelled tokens, in nats.

        Args:
            hidden: float `[batch, tokens, width]`, the head's input; position t predicts token t + 1. For a
                `LogitsHead` the logits, `[batch, tokens, vocabulary]`.
            head: The model's output head.
            input_ids: int64 `[batch, tokens]`.
            labels: int64 `[batch, tokens]`, -100 where nothing is to be learned.

        Raises:
            TrainingError: A labelled Semantic ID that is not in the catalog's trie.
        """
        found = self._labelled(input_ids, labels, whole=self.normalize == "full")
        states = hidden.flatten(0, 1)  # [batch * tokens, width]
        total = hidden.new_zeros((), dtype=torch.float32)
        if self.normalize != "full":
            for position in range(self.tables.length):
                total = total + self._position(position, states, head, found).sum()
        plain = found.places[-1]
        if self.normalize == "full" or len(plain):
            targets = labels.flatten().index_select(0, plain)
            total = total + head.cross_entropy(states.index_select(0, plain - 1), targets)
        return total

    def log_probs(self, hidden: Tensor, head: Head, input_ids: Tensor, labels: Tensor) -> Tensor:
        """Log-probability of every row's labelled Semantic-ID tokens, float32 `[batch]`, in nats.

        Args:
            hidden: float `[batch, tokens, width]`, as above.
            head: The model's output head.
            input_ids: int64 `[batch, tokens]`.
            labels: int64 `[batch, tokens]`, -100 where a token does not count; no text token may.

        Raises:
            TrainingError: A labelled Semantic ID that is not in the catalog's trie.
        """
        found = self._labelled(input_ids, labels)
        states = hidden.flatten(0, 1)  # [batch * tokens, width]
        total = hidden.new_zeros(len(labels), dtype=torch.float32)
        for position in range(self.tables.length):
            places = found.places[position]
            if self.normalize == "full":
                logits = head.full(states.index_select(0, places - 1)).float()  # [n, vocabulary]
                targets = labels.flatten().index_select(0, places)
                losses = functional.cross_entropy(logits, targets, reduction="none")
            else:
                losses = self._position(position, states, head, found)
            total = total.index_add(0, places // labels.shape[1], -losses)
        return total

    def _labelled(self, input_ids: Tensor, labels: Tensor, *, whole: bool = False) -> _Labelled:
        """Finds the labelled tokens; how many there are is all that is read from the device.

        Args:
            input_ids: int64 `[batch, tokens]`.
            labels: int64 `[batch, tokens]`.
            whole: Score all of them against the whole vocabulary.

        Raises:
            TrainingError: The normaliser is `allowed`, and one of them is not in the trie.
        """
        level, code, parent, node = (of_token.flatten() for of_token in self.parents(input_ids))
        wanted = labels != IGNORED_LABEL
        wanted[:, 0] = False  # no token stands before it
        wanted = wanted.flatten()  # [batch * tokens]
        last = self.tables.length
        group = torch.full_like(level, last) if whole else torch.where(level < 0, last, level)
        group = torch.where(wanted, group, last + 1)
        lost = wanted & (level >= 0) & (node < 0) if self.normalize == "allowed" else wanted.new_zeros(1)
        sizes = (group == torch.arange(last + 1, device=group.device).unsqueeze(1)).sum(1)
        *counts, astray = torch.cat([sizes, lost.sum().unsqueeze(0)]).tolist()
        order = group.argsort(stable=True)
        if astray:
            first = order[lost[order]][0]
            raise TrainingError(
                "a labelled Semantic ID is not in the catalog",
                received=f"code {int(code[first])} at position {int(level[first])} after an unknown prefix",
                remedy="build the training rows from the catalog whose trie the loss uses",
            )
        return _Labelled(order[: sum(counts)].split(counts), code, parent, node)

    def _position(self, position: int, states: Tensor, head: Head, found: _Labelled) -> Tensor:
        """What each labelled token of an ID position costs, float32 `[n]`.

        Args:
            position: The position.
            states: `[batch * tokens, width]`.
            head: The model's output head.
            found: The labelled tokens.
        """
        tables, places = self.tables, found.places[position]
        ids = tables.level_ids[position]
        logits = head.rows(states.index_select(0, places - 1), ids)  # [n, codes of the position]
        if self.normalize == "level":
            code = found.code.index_select(0, places)
            return functional.cross_entropy(logits.float(), code, reduction="none")
        parent = found.parent.index_select(0, places)
        children, valid = tables.children(position, parent)  # [n, c]
        log_probs = candidate_log_probs(logits, tables.code(position, children), valid, ids, "allowed")
        # place among the children
        chosen = found.node.index_select(0, places) - tables.first_child(position, parent)
        return -log_probs.gather(1, chosen.unsqueeze(1)).squeeze(1)
