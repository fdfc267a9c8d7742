"""The loss of Semantic-ID tokens, normalised as constrained decoding will normalise them.

Does not know batches' sources, optimisers or searches.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from genrec.catalog import CatalogTrie
from genrec.decoding import Head, Normalization, TrieTables, candidate_log_probs
from genrec.errors import TrainingError
from genrec.tasks import IGNORED_LABEL
from genrec.vocabulary import SemanticIdVocabulary


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

    def parents(self, input_ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ID position of every token (-1 for others), its code, the trie node of its prefix (-1 for none).

        All int64 `[batch, tokens]`. The prefix of a first-position token is the root, node 0.
        """
        known = input_ids.clamp(max=len(self.level_of) - 1)
        inside = known == input_ids
        level = torch.where(inside, self.level_of[known], -1)
        code = torch.where(inside, self.code_of[known], -1)
        parent = torch.where(level == 0, 0, -1)
        node = torch.full_like(parent, -1)
        for position in range(self.tables.length):
            here = level == position
            if position > 0:
                before = functional.pad(node, (1, 0), value=-1)[:, :-1]  # the node the token before led to
                parent = torch.where(here, before, parent)
            node = torch.where(here, self.tables.child_of(position, parent, code), node)
        return level, code, parent

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
        level, code, parent = self.parents(input_ids)
        wanted = labels[:, 1:] != IGNORED_LABEL  # [batch, tokens - 1]
        level, code, parent = level[:, 1:], code[:, 1:], parent[:, 1:]
        states = hidden[:, :-1]
        total = hidden.new_zeros((), dtype=torch.float32)
        plain = wanted & (level < 0) if self.normalize != "full" else wanted
        if self.normalize != "full":
            for position in range(self.tables.length):
                here = wanted & (level == position)
                losses = self._position(position, states[here], head, code[here], parent[here])
                total = total + losses.sum()
        if self.normalize == "full" or bool(plain.any()):
            total = total + head.cross_entropy(states[plain], labels[:, 1:][plain])
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
        level, code, parent = self.parents(input_ids)
        wanted = labels[:, 1:] != IGNORED_LABEL  # [batch, tokens - 1]
        level, code, parent = level[:, 1:], code[:, 1:], parent[:, 1:]
        total = hidden.new_zeros(len(labels), dtype=torch.float32)
        for position in range(self.tables.length):
            here = wanted & (level == position)
            states, rows = hidden[:, :-1][here], here.nonzero()[:, 0]  # [n, width], [n]
            if self.normalize == "full":
                logits = head.full(states).float()  # [n, vocabulary]
                losses = functional.cross_entropy(logits, labels[:, 1:][here], reduction="none")
            else:
                losses = self._position(position, states, head, code[here], parent[here])
            total = total.index_add(0, rows, -losses)
        return total

    def _position(
        self,
        position: int,
        states: Tensor,  # [n, width]
        head: Head,
        code: Tensor,  # [n]
        parent: Tensor,  # [n]
    ) -> Tensor:
        """What each token costs, float32 `[n]`."""
        tables = self.tables
        ids = tables.level_ids[position]
        logits = head.rows(states, ids)  # [n, codes of the position]
        if self.normalize == "level":
            return functional.cross_entropy(logits.float(), code, reduction="none")
        target = tables.child_of(position, parent, code)
        if bool((target < 0).any()):
            raise TrainingError(
                "a labelled Semantic ID is not in the catalog",
                received=f"code {int(code[target < 0][0])} at position {position} after an unknown prefix",
                remedy="build the training rows from the catalog whose trie the loss uses",
            )
        children, valid = tables.children(position, parent)  # [n, c]
        log_probs = candidate_log_probs(logits, tables.code(position, children), valid, ids, "allowed")
        chosen = target - tables.first_child(position, parent)  # place among the children
        return -log_probs.gather(1, chosen.unsqueeze(1)).squeeze(1)
