"""`IndexMethod`: IDs that need no vectors, as P5 and "How to index item IDs" make them.

Does not know quantizers or language models; an `ItemTokenizer` holds one in a quantizer's place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from genrec.artifacts import open_artifact, saved_artifact
from genrec.data import InteractionLog, ItemTable, co_occurrence, id_hash
from genrec.errors import ArtifactError, ConfigError, DataError, SemanticIdError
from genrec.semantic_ids.category_tree import CategoryTree
from genrec.semantic_ids.index_numbering import digits_of, filled, numbered, up_to_the_end
from genrec.semantic_ids.semantic_id_spec import END
from genrec.semantic_ids.spectral_tree import spectral_paths

KIND = "index_method"
Indexing = Literal["random", "independent", "sequential", "collaborative", "semantic", "hybrid"]
Grouping = Literal["collaborative", "semantic"]
DIGITS = 2  # codes of an item's number at most, where a path has more than `leaf_size` items


class IndexMethod:
    """Items in, unique Semantic IDs out, from ids, training interactions or categories alone.

    The methods of P5 (arXiv 2203.13366, 2306.11134; compared in arXiv 2305.06569, section 4), over tokens of
    their own in place of a text tokenizer's pieces:

    - `random`: `depth` codes of `leaf_size`, drawn by a hash of the item's id.
    - `independent`: one token an item.
    - `sequential`: consecutive numbers along the users' training histories, written in `depth` codes of
      `leaf_size`: items that follow each other share their first codes. Users are taken in the order of a
      hash of their ids.
    - `collaborative`: the path in a tree of recursive spectral clusters of the training co-occurrence, then a
      number; items without a co-occurrence have a first code of their own.
    - `semantic`: the path in the tree of `categories`, then a number.
    - `hybrid`: the path of `grouping`, filled up to `depth` codes with a code that says nothing, then one
      token an item.

    Collaborative and semantic IDs are of unequal length (`terminated`). Items that `fit` did not see get a
    free ID at the place their categories or, without any, the end of the order say.

    Args:
        method: One of the above.
        depth: Codes of a path at most (of an ID: `random`, `sequential`).
        branching: Clusters of a cut, or categories below one; one code more stands for what has no place.
        leaf_size: Codes of an item's number, and the items below which a cluster is not cut again.
        capacity: Items that `independent` and `hybrid` have tokens for.
        grouping: Whose paths `hybrid` takes.
        seed: Of random IDs and clusters.

    Raises:
        ConfigError: An unknown method, or sizes that are none.
    """

    def __init__(
        self,
        method: Indexing = "collaborative",
        *,
        depth: int = 2,
        branching: int = 20,
        leaf_size: int = 100,
        capacity: int = 16_384,
        grouping: Grouping = "collaborative",
        seed: int = 0,
    ) -> None:
        if method not in get_args(Indexing) or grouping not in get_args(Grouping):
            raise ConfigError(
                "there is no such index method",
                received=f"method={method!r}, grouping={grouping!r}",
                remedy=f"use one of {', '.join(get_args(Indexing))}, and a grouping of {get_args(Grouping)}",
            )
        if min(depth, capacity, leaf_size) < 1 or branching < 2:
            raise ConfigError(
                "an index needs at least one code a path, one a number, and two branches",
                received=f"depth={depth}, branching={branching}, leaf_size={leaf_size}, capacity={capacity}",
                remedy="give for example depth=2, branching=20, leaf_size=100",
            )
        self.method: Indexing = method
        self.depth = depth
        self.branching = branching
        self.leaf_size = leaf_size
        self.capacity = capacity
        self.grouping: Grouping = grouping
        self.seed = seed
        self.training_record: dict[str, Any] = {}
        self._paths: dict[str, tuple[int, ...]] | None = None  # of the items that were there at the fit
        self._tree = CategoryTree(depth, branching + 1)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Codes of each position."""
        codes = self.branching + 1  # and one for what has no place
        match self.method:
            case "random" | "sequential":
                return (self.leaf_size,) * self.depth
            case "independent":
                return (self.capacity,)
            case "hybrid":
                return (codes, *(codes + 1,) * (self.depth - 1), self.capacity)
        return (codes, *(codes + self.leaf_size,) * (self.depth + DIGITS - 1))

    @property
    def terminated(self) -> bool:
        """Whether IDs are of unequal length, -1 behind the end of a shorter one."""
        return self.method in ("collaborative", "semantic")

    @property
    def fitted(self) -> bool:
        """Whether it can give IDs."""
        return self._paths is not None

    @property
    def needs_interactions(self) -> bool:
        """Whether `fit` learns from interactions."""
        return self._whose in ("collaborative", "sequential")

    @property
    def _whose(self) -> str:
        return self.grouping if self.method == "hybrid" else self.method

    def fit(self, items: ItemTable, interactions: InteractionLog | None = None) -> IndexMethod:
        """Learns order, clusters or category tree.

        Args:
            items: The catalog's items.
            interactions: The training part of a split, for `sequential`, `collaborative` and `hybrid` of it;
                what is held out must not be in it, else the IDs give the held-out items away.

        Raises:
            DataError: Interactions are needed and not given, or categories are and the table has none.
        """
        ids = items.canonical_ids
        match self._whose:
            case "sequential":
                order = _first_seen(self._given(interactions), ids)
                self._paths = {item: (number,) for number, item in enumerate(order)}
            case "collaborative":
                paths = spectral_paths(
                    co_occurrence(self._given(interactions), ids),
                    branching=self.branching,
                    leaf_size=self.leaf_size,
                    depth=self.depth,
                    seed=self.seed,
                )
                self._paths = dict(zip(ids, paths, strict=True))
            case "semantic":
                self._tree.fit(_categories(items))
                self._paths = {}
            case _:
                self._paths = {}
        self.training_record = {"items": len(ids), "paths": len(set(self._paths.values()))}
        return self

    def encode(self, items: ItemTable, taken_codes: np.ndarray | None = None) -> np.ndarray:
        """IDs int32 `[n, L]` of the items, in the order of their `canonical_ids`, all different.

        -1 stands behind the end of a shorter ID.

        Args:
            items: Items, those of `fit` or others.
            taken_codes: int `[m, L]`, IDs of other items that must stay theirs.

        Raises:
            DataError: Not fitted.
            SemanticIdError: No room for so many items.
        """
        learned = self._learned()
        sizes = self.codebook_sizes
        taken = np.empty((0, len(sizes)), np.int64) if taken_codes is None else np.asarray(taken_codes)
        if self.method in ("random", "sequential", "independent"):
            numbers = self._free_numbers(items.canonical_ids, taken)
            return np.array([digits_of(n, sizes) for n in numbers], np.int32).reshape(-1, len(sizes))
        if self._whose == "semantic":
            paths = [self._tree.path(names) for names in _categories(items)]
        else:
            paths = [learned.get(item, (self.branching,)) for item in items.canonical_ids]
        if self.method == "hybrid":
            last = self._lowest_free(len(paths), set(taken[:, -1].tolist()))
            nothing = [size - 1 for size in sizes[:-1]]
            return np.concatenate([filled(paths, nothing), np.array(last)[:, None]], axis=1, dtype=np.int32)
        first = self.branching + 1  # numbers stand behind the codes of paths, so none is taken for the other
        found = numbered(paths, up_to_the_end(taken), first, self.leaf_size, DIGITS)
        return filled(found, [END] * len(sizes))

    def _given(self, interactions: InteractionLog | None) -> InteractionLog:
        if interactions is None:
            raise DataError(
                f"the index method {self.method} learns from interactions",
                received="none",
                remedy="pass interactions=split.train, the training part only",
            )
        return interactions

    def _learned(self) -> dict[str, tuple[int, ...]]:
        if self._paths is None:
            raise DataError(
                "this index method has learned nothing yet", remedy="call fit(items, interactions) first"
            )
        return self._paths

    def _free_numbers(self, ids: Sequence[str], taken: np.ndarray) -> list[int]:
        capacity = math.prod(self.codebook_sizes)
        weights = np.array([math.prod(self.codebook_sizes[p + 1 :]) for p in range(taken.shape[1])])
        used = set((taken.astype(np.int64) @ weights).tolist())
        self._check_room(len(ids), len(used), capacity)
        if self.method == "random":
            found = []
            for item in ids:
                number = int(id_hash(item, self.seed), 16) % capacity
                while number in used:
                    number = (number + 1) % capacity
                used.add(number)
                found.append(number)
            return found
        learned = self._learned()
        own = {item: learned[item][0] for item in ids if item in learned}
        own = {item: number for item, number in own.items() if number not in used}
        rest = iter(self._lowest_free(len(ids) - len(own), used | set(own.values()), len(learned)))
        return [own[item] if item in own else next(rest) for item in ids]

    def _lowest_free(self, count: int, used: set[int], start: int = 0) -> list[int]:
        capacity = self.capacity if self.method != "sequential" else math.prod(self.codebook_sizes)
        self._check_room(count, len(used), capacity)
        numbers = (n % capacity for n in range(start, start + capacity))
        free = (number for number in numbers if number not in used)
        return [next(free) for _ in range(count)]

    def _check_room(self, count: int, taken: int, capacity: int) -> None:
        if count + taken > capacity:
            raise SemanticIdError(
                f"{count} items do not fit into {capacity} Semantic IDs",
                received=f"index method {self.method}, {taken} IDs taken already",
                remedy="use a larger capacity, or more or larger codebooks (depth, leaf_size)",
            )

    def save(self, folder: str | Path) -> None:
        """Writes settings and what was learned.

        Raises:
            DataError: Not fitted.
        """
        learned = {
            "paths": self._learned(),
            "shared": self._tree.shared,
            "categories": [[list(above), codes] for above, codes in self._tree.codes.items()],
        }
        with saved_artifact(folder, kind=KIND, facts={"settings": self._settings()}) as temporary:
            text = json.dumps(learned, ensure_ascii=False)
            (temporary / "index.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> IndexMethod:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or of another kind.
        """
        facts = open_artifact(folder, kind=KIND)
        try:
            found = cls(**facts["settings"])
            learned = json.loads((Path(folder) / "index.json").read_text(encoding="utf-8"))
            found._paths = {item: tuple(path) for item, path in learned["paths"].items()}
            codes = {tuple(above): below for above, below in learned["categories"]}
            found._tree = CategoryTree(
                found.depth, found.branching + 1, codes=codes, shared=learned["shared"]
            )
        except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
            raise ArtifactError(
                f"{folder} holds no index method that can be read",
                received=f"{type(error).__name__}: {error}",
                remedy="fit and save it again",
            ) from error
        return found

    def _settings(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "depth": self.depth,
            "branching": self.branching,
            "leaf_size": self.leaf_size,
            "capacity": self.capacity,
            "grouping": self.grouping,
            "seed": self.seed,
        }


def _first_seen(log: InteractionLog, ids: Sequence[str]) -> list[str]:
    """Items in the order in which users, by a hash of their ids, came to have them."""
    known, histories = set(ids), log.histories()
    order: dict[str, None] = {}
    for user in sorted(range(len(histories.user_ids)), key=lambda u: id_hash(histories.user_ids[u])):
        for item in histories.items[histories.offsets[user] : histories.offsets[user + 1]].tolist():
            if histories.item_ids[item] in known:
                order.setdefault(histories.item_ids[item])
    return list(order)


def _categories(items: ItemTable) -> list[list[str]]:
    if "categories" not in items.columns:
        raise DataError(
            "the item table has no categories to make a tree of",
            received=f"columns {', '.join(items.columns)}",
            remedy="add the column `categories`, or use another index method",
        )
    column = items.table.column("categories").to_pylist()
    by_id = dict(zip(items.item_ids, column, strict=True))
    return [by_id[item] for item in items.canonical_ids]
