"""`TrieWalk`: what a search asks of a model that walks down a trie, and the language models' walk.

Does not know beams, filters or which node is worth a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from genrec.decoding.candidates import NONE
from genrec.decoding.normalization import Normalization
from genrec.decoding.output_head import Head
from genrec.decoding.step_model import SearchBackend, StepModel
from genrec.decoding.trie_levels import TrieLevels
from genrec.decoding.trie_tables import TrieTables

RAGGED_DEVICES = frozenset({"cpu"})  # where arrays of the children's true number are quicker than padded ones


class Expansion(NamedTuple):
    """Children of m nodes, one node's after the other's.

    Attributes:
        owner: int64 `[t]`, which of the m nodes each child belongs to, rising.
        child: int64 `[t]`, nodes of the children's level.
        log_prob: float32 `[t]`, log-probability of the path to the child; minus infinity where padded.
        counts: int64 `[m]`, children of each node; None where every node has the same number of places.
    """

    owner: Tensor
    child: Tensor
    log_prob: Tensor
    counts: Tensor | None


class TrieWalk(Protocol):
    """A model in the middle of one search. Row 0 of every prompt stands at the trie's root.

    Attributes:
        levels: The trie.
        depth: Levels of a whole item; where it is more than the trie's, what follows an ID has levels too,
            whose nodes are the leaves.
    """

    levels: TrieLevels
    depth: int

    def begin(self, capacity: int) -> tuple[Tensor, Tensor]:
        """Reads the prompts; called again, it forgets all rows but the root's instead.

        Args:
            capacity: Rows a prompt that are likely to follow.

        Returns:
            States at the root, `[batch, 1, width]`, and the log-probability of what stands between prompt and
            ID, float32 `[batch]`.
        """
        ...

    def normalizers(self, states: Tensor) -> Tensor | None:
        """What `expand` wants to know about states `[m, width]`, float32 `[m]`; None = nothing."""
        ...

    def expand(
        self, level: int, states: Tensor, nodes: Tensor, scores: Tensor, normalizers: Tensor | None
    ) -> Expansion:
        """Children of nodes.

        Args:
            level: The children's level.
            states: `[m, width]`.
            nodes: int64 `[m]`, of the level above; -1 has no children.
            scores: float32 `[m]`, log-probability of the path to each.
            normalizers: Of these states; None where there are none to be known, or to be subtracted later.
        """
        ...

    def step(self, levels: Tensor | int, nodes: Tensor, parents: Tensor) -> Tensor:
        """Adds rows.

        Args:
            levels: int64 `[batch, n]`, level of each new row's node; a number if it is the same for all.
            nodes: int64 `[batch, n]`; -1 where a row only fills up the batch.
            parents: int64 `[batch, n]`, number of the row that each continues.

        Returns:
            Their states, `[batch, n, width]`.
        """
        ...

    def keep(self, prompts: Tensor) -> None:
        """Goes on with the prompts `prompts [m]` (int64) only, in this order."""
        ...


class TokenWalk:
    """A language model's `TrieWalk`.

    Args:
        backend: The model.
        tables: Trie and token ids.
        normalize: Which tokens share a softmax.
        input_ids: int64 `[batch, prompt]`.
        real: bool, the same shape.
        before: Token ids between prompt and ID.
        after: Token ids behind an ID that are scored.
    """

    def __init__(
        self,
        backend: SearchBackend,
        tables: TrieTables,
        normalize: Normalization,
        input_ids: Tensor,
        real: Tensor,
        *,
        before: Sequence[int] = (),
        after: Sequence[int] = (),
    ) -> None:
        self.backend = backend
        self.tables = tables
        self.levels = tables.levels
        self.normalize = normalize
        self.input_ids = input_ids
        self.real = real
        self.before = tuple(before)
        self.after = tuple(after) if normalize == "full" else ()  # elsewhere a lone token costs nothing
        self.depth = tables.length + len(self.after)
        self.head: Head = backend.head()
        self.root: tuple[Tensor, Tensor] | None = None
        self.level_ids = (*tables.level_ids, *(self._ids(token) for token in self.after))

    def _ids(self, token: int) -> Tensor:
        return torch.tensor([token], device=self.tables.device)

    def begin(self, capacity: int) -> tuple[Tensor, Tensor]:
        """Reads the prompts and the tokens before an ID; see `TrieWalk.begin`."""
        if self.root is not None:
            self.steps.truncate(1 + len(self.before))
            return self.root
        started = self.backend.start(self.input_ids, self.real, capacity + len(self.before))
        self.steps: StepModel = started[0]
        states = started[1]
        batch = len(self.input_ids)
        score = torch.zeros(batch, device=self.tables.device)
        for row, token in enumerate(self.before):
            if self.normalize == "full":
                flat = states[:, 0]
                logits = self.head.rows(flat, self._ids(token)).float()[:, 0]  # [batch]
                score = score + logits - self.head.log_normalizer(flat)
            tokens = torch.full((batch, 1), token, device=self.tables.device)
            states = self.steps.step(tokens, torch.full_like(tokens, row))
        self.root = states, score
        return self.root

    def normalizers(self, states: Tensor) -> Tensor | None:
        """Log-sum-exp over the vocabulary with `full`; see `TrieWalk.normalizers`."""
        return self.head.log_normalizer(states) if self.normalize == "full" else None

    def expand(
        self,
        level: int,
        states: Tensor,
        nodes: Tensor,
        scores: Tensor,
        normalizers: Tensor | None,
    ) -> Expansion:
        """Children and their log-probabilities; see `TrieWalk.expand`."""
        logits = self.head.rows(states, self.level_ids[level]).float()  # [m, codes of the level]
        shifted = scores
        if self.normalize == "level":
            shifted = scores - logits.logsumexp(-1)
        elif normalizers is not None:
            shifted = scores - normalizers
        if level >= self.tables.length:  # what follows an ID: one child, the leaf itself
            owner = torch.arange(len(nodes), device=nodes.device)
            return Expansion(owner, nodes, (logits[:, 0] + shifted).masked_fill(nodes < 0, NONE), None)
        ragged = self.tables.device.type in RAGGED_DEVICES
        found = (self._ragged if ragged else self._padded)(level, logits, nodes, shifted)
        if self.levels.ends and level > 0:  # below a terminator there is no token any more
            over = self.levels.ended(level - 1, nodes)[found.owner] & (found.log_prob > NONE)
            found = found._replace(log_prob=torch.where(over, scores[found.owner], found.log_prob))
        return found

    def _ragged(self, level: int, logits: Tensor, nodes: Tensor, scores: Tensor) -> Expansion:
        """Arrays of the children's true number."""
        owner, child, counts = self.levels.expand(level, nodes)
        place = self.levels.code(level, child).add_(owner, alpha=logits.shape[1])
        if self.normalize == "allowed":
            found = logits.flatten().index_select(0, place)
            found += (scores - _sums(found, owner, len(nodes))).index_select(0, owner)
        else:
            found = (logits + scores.unsqueeze(-1)).flatten().index_select(0, place)
        return Expansion(owner, child, found, counts)

    def _padded(self, level: int, logits: Tensor, nodes: Tensor, scores: Tensor) -> Expansion:
        """Sizes that do not depend on the data, which would keep an accelerator waiting."""
        child, valid = self.levels.children(level, nodes)  # [m, c]
        found = logits.gather(1, self.levels.code(level, child)).masked_fill(~valid, NONE)
        if self.normalize == "allowed":
            found = found - found.logsumexp(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).min)
        found = found + scores.unsqueeze(-1)
        owner = torch.arange(len(nodes), device=nodes.device).repeat_interleave(child.shape[1])
        return Expansion(owner, child.flatten(), found.flatten(), None)

    def step(self, levels: Tensor | int, nodes: Tensor, parents: Tensor) -> Tensor:
        """The token of each node behind its parent's; see `TrieWalk.step`."""
        if isinstance(levels, int):
            tokens = self._tokens(levels, nodes)
        else:
            tokens = torch.zeros_like(nodes)
            for level in range(self.depth - 1):
                tokens = torch.where(levels == level, self._tokens(level, nodes), tokens)
        offset = len(self.before)
        return self.steps.step(tokens, parents + offset if offset else parents)

    def _tokens(self, level: int, nodes: Tensor) -> Tensor:
        """Token ids of nodes; any where a number is no node of the level."""
        if level >= self.tables.length:
            return self.level_ids[level].expand_as(nodes)
        return self.tables.tokens(level, nodes.clamp(min=0, max=len(self.levels.codes[level]) - 1))

    def keep(self, prompts: Tensor) -> None:
        """See `TrieWalk.keep`."""
        self.steps.keep(prompts)


def _sums(logits: Tensor, owner: Tensor, count: int) -> Tensor:
    """Log-sum-exp of each owner's logits, `[count]`; zero where it has none."""
    highest = torch.full((count,), NONE, device=logits.device)
    highest = highest.scatter_reduce(0, owner, logits, "amax").clamp(min=torch.finfo(torch.float32).min)
    shares = torch.zeros(count, device=logits.device).index_add(0, owner, (logits - highest[owner]).exp())
    return highest + shares.clamp(min=torch.finfo(torch.float32).tiny).log()
