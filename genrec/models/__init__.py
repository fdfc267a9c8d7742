"""Architectures of our own as transformers models: sequences of items in, the next item's scores out.

Does not know training or search.
"""

from genrec.models.growth import grown
from genrec.models.item_level import ItemLevelConfig, ItemLevelModel
from genrec.models.item_softmax import ItemSoftmaxConfig, ItemSoftmaxModel
from genrec.models.trie_arrays import TrieArrays

__all__ = [
    "ItemLevelConfig",
    "ItemLevelModel",
    "ItemSoftmaxConfig",
    "ItemSoftmaxModel",
    "TrieArrays",
    "grown",
]
