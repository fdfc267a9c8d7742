"""A request's wishes about items as the search uses them: which nodes are closed, how high one may score.

Does not know models, token ids or the order in which nodes are visited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genrec.catalog import CatalogTrie, ItemBonus, TrieFilter
from genrec.decoding.trie_levels import TrieLevels
from genrec.errors import DecodingError, SemanticIdError, is_count

Allowed = np.ndarray | Tensor | TrieFilter | Sequence[np.ndarray | Tensor | TrieFilter | None] | None
Bonus = np.ndarray | Tensor | ItemBonus | Sequence[np.ndarray | Tensor | ItemBonus | None] | None


@dataclass(frozen=True)
class GroupLimit:
    """At most so many items of each value of an attribute, taken greedily from the ranking's top.

    Attributes:
        labels: int over catalog rows, the attribute's value as a number; -1 = not limited.
        most: Items of one value, at least 1.
    """

    labels: np.ndarray
    most: int


class LeafLists:
    """A sorted list of leaves for each prompt, and how many of them lie in a range.

    Args:
        lists: int32 arrays, sorted; one for each prompt, or a single one for all. An array that stands there
            several times is kept once.
        num_leaves: Leaves of the trie.
        device: Where searches run.
    """

    def __init__(self, lists: Sequence[np.ndarray], num_leaves: int, device: torch.device) -> None:
        distinct = {id(leaves): leaves for leaves in lists}
        slots = {key: slot for slot, key in enumerate(distinct)}
        keys = [leaves.astype(np.int64) + slots[key] * (num_leaves + 1) for key, leaves in distinct.items()]
        self.keys = torch.from_numpy(np.concatenate(keys)).to(device)
        shift = [slots[id(leaves)] * (num_leaves + 1) for leaves in lists]
        self.shift = torch.tensor(shift, device=device) if len(distinct) > 1 else None

    def count(self, prompt: Tensor, first: Tensor, end: Tensor) -> Tensor:
        """Listed leaves from `first` up to `end`, int64; all arguments int64 of one shape."""
        if self.shift is not None:
            first, end = first + self.shift[prompt], end + self.shift[prompt]
        return torch.searchsorted(self.keys, end) - torch.searchsorted(self.keys, first)


class ItemConstraints:
    """The constraints of one search.

    Args:
        trie: The catalog's trie.
        levels: The same on the search's device.
        batch: Prompts.
        allowed: Which items may be returned; a mask over catalog rows for all prompts or one for each, or
            filters made of them by `CatalogTrie.restrict`.
        exclude: Catalog rows that may not, a list for each prompt.
        bonus: Numbers added to the items' scores, as `allowed` for all prompts or for each.
        limit: At most so many items of one attribute value.

    Raises:
        DecodingError: A number of entries other than the batch's, or a limit that fits no catalog.
        SemanticIdError: A mask or a bonus that does not fit the trie.
    """

    def __init__(
        self,
        trie: CatalogTrie,
        levels: TrieLevels,
        batch: int,
        *,
        allowed: Allowed = None,
        exclude: Sequence[Sequence[int] | np.ndarray] | None = None,
        bonus: Bonus = None,
        limit: GroupLimit | None = None,
    ) -> None:
        self.trie = trie
        self.levels = levels
        self.filters = _each(allowed, batch, "allowed", trie.restrict)
        bonuses = _each(bonus, batch, "bonus", trie.bonus)
        self._check_made(bonuses)
        self.excluded = None if exclude is None else self._excluded(exclude, batch)
        self.bonuses = [
            None if one is None else tuple(torch.from_numpy(most).to(levels.device) for most in one.most)
            for one in bonuses
        ]
        # a prompt may find nothing: a filter, or a bonus that takes all items out
        self.closes = any(one is not None and not (one.most[0] > -np.inf).any() for one in bonuses)
        self.shared = len(self.bonuses) == 1
        self.limit = None if limit is None else self._checked_limit(limit)
        self._prepare()

    def _prepare(self) -> None:
        count, device = self.trie.num_items, self.levels.device
        self.listed = self.complement = self.removed = None
        if any(one is not None for one in self.filters):
            everything = TrieFilter(count, np.empty(0, dtype=np.int32), complement=True)
            filters = [everything if one is None else one for one in self.filters]
            self.listed = LeafLists([one.leaves for one in filters], count, device)
            self.complement = torch.tensor([one.complement for one in filters], device=device)
        if self.excluded is not None and any(len(leaves) for leaves in self.excluded):
            self.removed = LeafLists(self.excluded, count, device)
        self.filtered = self.listed is not None or self.removed is not None
        self.closes = self.closes or self.filtered
        self.active = self.filtered or any(one is not None for one in self.bonuses)

    def _check_made(self, bonuses: Sequence[ItemBonus | None]) -> None:
        """Refuses filters and bonuses that were made ready by the trie of another catalog."""
        sizes = [one.num_leaves for one in self.filters if one is not None]
        sizes += [len(one.most[-1]) for one in bonuses if one is not None]
        wrong = [size for size in sizes if size != self.trie.num_items]
        if wrong:
            raise SemanticIdError(
                "a filter or a bonus was made by the trie of another catalog",
                received=f"one over {wrong[0]} items for a trie of {self.trie.num_items}",
                remedy="make it anew by this catalog's trie: catalog.trie.restrict, catalog.trie.bonus",
            )

    def _excluded(self, exclude: Sequence[Any], batch: int) -> list[np.ndarray]:
        """Leaves of the excluded rows that the filters allow, sorted."""
        if len(exclude) != batch:
            raise DecodingError(
                "exclude is one list of catalog rows for each prompt",
                received=f"{len(exclude)} lists for {batch} prompts",
                remedy="pass an empty list for a prompt that excludes nothing",
            )
        leaf_of_row, found = self.trie.leaf_of_row, []
        for place, rows in enumerate(exclude):
            given = np.asarray(rows)
            if given.dtype == bool:
                raise DecodingError(
                    "exclude takes numbers of catalog rows",
                    received=f"truth values, {len(given)} for prompt {place}",
                    remedy="pass np.flatnonzero of the mask, or a mask as allowed",
                )
            numbers = given.astype(np.int64)
            numbers = numbers[(numbers >= 0) & (numbers < len(leaf_of_row))]
            leaves = np.unique(leaf_of_row[numbers])
            leaves = leaves[leaves >= 0]
            chosen = self.filters[place if len(self.filters) > 1 else 0]
            found.append(leaves if chosen is None else leaves[chosen.allows(leaves)])
        return found

    def _checked_limit(self, limit: GroupLimit) -> GroupLimit:
        labels = np.asarray(limit.labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) < self.trie.num_rows:
            raise DecodingError(
                "a limit needs one label for each catalog row",
                received=f"{labels.dtype} array of shape {labels.shape} for {self.trie.num_rows} rows",
                remedy="pass an integer array, -1 for items that are not limited",
            )
        if not is_count(limit.most):
            raise DecodingError(
                "a limit lets at least one item of each value through",
                received=limit.most,
                remedy="set most to 1 or more, and take items out with allowed or exclude",
            )
        return GroupLimit(labels[self.trie.rows].astype(np.int64), int(limit.most))

    def open_leaves(self, level: int, prompt: Tensor, nodes: Tensor) -> Tensor:
        """Allowed leaves below each node, int64; `prompt` and `nodes` int64 of one shape."""
        first, end = self.levels.leaves(level, nodes)
        found = end - first
        if self.listed is not None and self.complement is not None:
            listed = self.listed.count(prompt, first, end)
            other = self.complement[prompt if len(self.complement) > 1 else torch.zeros_like(prompt)]
            found = torch.where(other, found - listed, listed)
        if self.removed is not None:
            found = found - self.removed.count(prompt, first, end)
        return found

    def bounds(self, level: int, prompt: Tensor, nodes: Tensor, log_prob: Tensor) -> Tensor:
        """The most that an allowed item below each node can score, float32 `[t]`; exact for a leaf.

        Args:
            level: The nodes' level; behind the trie's last one nodes are leaves.
            prompt: int64 `[t]`.
            nodes: int64 `[t]`.
            log_prob: float32 `[t]`, of the path to each; minus infinity closes it.
        """
        level = min(level, self.levels.length - 1)
        bound = log_prob
        if any(most is not None for most in self.bonuses):
            bound = bound + self.bonus(level, prompt, nodes)
        if self.filtered:
            bound = bound.masked_fill(self.open_leaves(level, prompt, nodes) <= 0, float("-inf"))
        return bound

    def bonus(self, level: int, prompt: Tensor, nodes: Tensor) -> Tensor:
        """The most that an item below each node gets, float32 like `nodes`."""
        if self.shared:
            most = self.bonuses[0]
            return torch.zeros_like(nodes, dtype=torch.float32) if most is None else most[level][nodes]
        found = torch.zeros_like(nodes, dtype=torch.float32)
        for place, most in enumerate(self.bonuses):
            if most is not None:
                found = torch.where(prompt == place, most[level][nodes], found)
        return found

    def open_mask(self, place: int) -> np.ndarray:
        """Which leaves a prompt may be given, the limit aside, bool `[leaves]`."""
        chosen = self.filters[place if len(self.filters) > 1 else 0]
        open_: np.ndarray = np.ones(self.trie.num_items, dtype=bool) if chosen is None else chosen.mask()
        if self.excluded is not None:
            open_[self.excluded[place]] = False
        most = self.bonuses[0 if self.shared else place]
        if most is not None:
            open_ &= most[-1].cpu().numpy() > -np.inf
        return open_

    def reachable(self, place: int) -> int:
        """Items that a prompt's limit lets through when every allowed item is there."""
        open_ = self.open_mask(place)
        if self.limit is None:
            return int(open_.sum())
        labels = self.limit.labels[open_]
        counts = np.unique(labels[labels >= 0], return_counts=True)[1]
        return int(np.minimum(counts, self.limit.most).sum() + (labels < 0).sum())

    def lacking(self, place: int, full: np.ndarray) -> np.ndarray:
        """Leaves by which a prompt's list can still grow, as running counts, int32 `[leaves + 1]`.

        Args:
            place: The prompt.
            full: int64, values of the limit's attribute of which it has as many items as it may have.
        """
        open_ = self.open_mask(place)
        if self.limit is not None and len(full):
            open_ &= ~np.isin(self.limit.labels, full)
        counts = np.zeros(len(open_) + 1, dtype=np.int32)
        np.cumsum(open_, out=counts[1:])
        return counts


def _each(given: Any, batch: int, name: str, made: Any) -> list[Any]:
    """One entry for all prompts, or one for each, arrays made ready."""
    if given is None or isinstance(given, TrieFilter | ItemBonus):
        return [given]
    if isinstance(given, Tensor):
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ndarray) and given.ndim == 1:
        return [made(given)]
    if len(given) != batch:
        raise DecodingError(
            f"{name} is one array for all prompts, or one for each",
            received=f"{len(given)} entries for {batch} prompts",
            remedy="pass a matrix or a list with a row for every prompt",
        )
    ready: dict[int, Any] = {}  # an array that stands there many times is made ready once
    found = []
    for one in given:
        known = isinstance(given, np.ndarray) or id(one) not in ready
        if one is None or isinstance(one, TrieFilter | ItemBonus):
            found.append(one)
        elif known:
            array = one.detach().cpu().numpy() if isinstance(one, Tensor) else np.asarray(one)
            found.append(made(array))
            ready[id(one)] = found[-1]
        else:
            found.append(ready[id(one)])
    return found
