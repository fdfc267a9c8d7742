"""`PrefixIndex`: which of many texts begins most like another one, without going through all of them.

Does not know what is kept for a text: token ids in, keys out.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict

import numpy as np


class _Node:
    """A place where texts part; its own tokens lead there from the node above.

    Attributes:
        tokens: int64, at least one, but for the root.
        children: By their first token.
        keys: Texts below, the one used last at the end.
    """

    def __init__(self, tokens: np.ndarray) -> None:
        self.tokens = tokens
        self.children: dict[int, _Node] = {}
        self.keys: OrderedDict[bytes, None] = OrderedDict()


class PrefixIndex:
    """Texts as a tree of their beginnings, and the order in which they were used.

    What is asked about a text takes as many comparisons of tokens as it has, however many texts there are.
    Where a new text parts from a beginning that others shared so far, their keys are copied once. No text may
    be the beginning of another.

    Attributes:
        compared: Tokens compared so far.
    """

    def __init__(self) -> None:
        self.compared = 0
        self._root = _Node(np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        """Number of texts."""
        return len(self._root.keys)

    def longest(self, ids: np.ndarray) -> tuple[int, bytes | None]:
        """How many of its first tokens a text shares with one that is here, and the key of that one.

        Of several that share as many it is the one that was not used for longest; None where there is none.
        """
        path, length = self._walk(ids)
        return length, next(iter(path[-1].keys), None)

    def beginning(self, ids: np.ndarray) -> bytes | None:
        """Key of the text that is the beginning of another, or that text itself; None where there is none."""
        path, length = self._walk(ids)
        last = path[-1]
        whole = len(path) > 1 and not last.children and length == sum(len(node.tokens) for node in path)
        return next(iter(last.keys)) if whole else None

    def add(self, ids: np.ndarray, key: bytes) -> None:
        """Takes in a text, as the one used last; it begins with no other, and no other with it."""
        node, place = self._root, 0
        node.keys[key] = None
        while place < len(ids):
            child = node.children.get(int(ids[place]))
            if child is None:
                node.children[int(ids[place])] = child = _Node(ids[place:])
            common = self._common(child.tokens, ids[place:])
            if common < len(child.tokens):  # the texts part in between
                above = _Node(child.tokens[:common])
                above.keys = child.keys.copy()
                child.tokens = child.tokens[common:]
                above.children[int(child.tokens[0])] = child
                node.children[int(ids[place])] = child = above
            node, place = child, place + common
            node.keys[key] = None

    def use(self, ids: np.ndarray, key: bytes) -> None:
        """Makes a text that is here the one used last."""
        for node in self._walk(ids)[0]:
            node.keys.move_to_end(key)

    def remove(self, ids: np.ndarray, key: bytes) -> None:
        """Forgets a text that is here."""
        path, _ = self._walk(ids)
        for node in path:
            del node.keys[key]
        for above, node in itertools.pairwise(path):
            if not node.keys:
                del above.children[int(node.tokens[0])]
                break
        for above, node in itertools.pairwise(path):
            if len(node.keys) and len(node.children) == 1:  # nothing parts here any more
                (only,) = node.children.values()
                only.tokens = np.concatenate([node.tokens, only.tokens])
                above.children[int(only.tokens[0])] = only
                break

    def clear(self) -> None:
        """Forgets all texts."""
        self._root = _Node(np.empty(0, dtype=np.int64))

    def _walk(self, ids: np.ndarray) -> tuple[list[_Node], int]:
        """The nodes from the root on that a text begins with, the last perhaps in part; tokens shared."""
        path, place = [self._root], 0
        while place < len(ids):
            child = path[-1].children.get(int(ids[place]))
            if child is None:
                break
            path.append(child)
            common = self._common(child.tokens, ids[place:])
            place += common
            if common < len(child.tokens):
                break
        return path, place

    def _common(self, one: np.ndarray, other: np.ndarray) -> int:
        """Tokens that two texts begin with."""
        shorter = min(len(one), len(other))
        self.compared += shorter
        differs = one[:shorter] != other[:shorter]
        return int(differs.argmax()) if differs.any() else shorter
