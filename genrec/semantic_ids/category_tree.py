"""Paths of items in a category tree: P5's semantic indexing.

Does not know tokens or users: lists of category names in, a path of codes for each item out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

Names = tuple[str, ...]


class CategoryTree:
    """Codes of the categories below each category, from the items' own lists of names.

    "How to index item IDs" (arXiv 2305.06569, section 4.3). A list of names is taken for a path from the root
    down. Beginnings that all items share say nothing and are left out. Of the categories below one, the most
    frequent gets code 0, equally frequent ones in the order of their names; the last code stands for all
    further ones, for unknown ones, and at the root for items without categories.

    Args:
        depth: Levels at most; deeper categories are left out.
        branching: Codes of a level, at least 2.
        codes: What an earlier `fit` learned.
        shared: How many names at the beginning are left out.
    """

    def __init__(
        self,
        depth: int,
        branching: int,
        *,
        codes: dict[Names, dict[str, int]] | None = None,
        shared: int = 0,
    ) -> None:
        self.depth = depth
        self.branching = branching
        self.codes = codes or {}
        self.shared = shared

    def fit(self, lists: Sequence[Sequence[str]]) -> CategoryTree:
        """Learns the tree from the categories of all items."""
        given = [tuple(names) for names in lists if names]
        self.shared = 0
        while given and min(map(len, given)) > self.shared + 1 and len({g[self.shared] for g in given}) == 1:
            self.shared += 1
        counts: dict[Names, Counter[str]] = {}
        for names in given:
            kept = names[self.shared :][: self.depth]
            for level, name in enumerate(kept):
                counts.setdefault(kept[:level], Counter())[name] += 1
        self.codes = {
            above: {
                name: code
                for code, (name, _) in enumerate(sorted(below.items(), key=lambda pair: (-pair[1], pair[0])))
                if code < self.branching - 1
            }
            for above, below in counts.items()
        }
        return self

    def path(self, names: Sequence[str]) -> tuple[int, ...]:
        """Path of an item with these categories, one to `depth` codes."""
        kept = tuple(names)[self.shared :][: self.depth]
        found: list[int] = []
        for level, name in enumerate(kept):
            code = self.codes.get(kept[:level], {}).get(name, self.branching - 1)
            found.append(code)
            if code == self.branching - 1:
                break
        return tuple(found) or (self.branching - 1,)
