"""The catalog: which item has which Semantic ID, and the trie of all of them.

Does not know token ids or logits: a catalog speaks codes, so one catalog serves any language model.
"""

from genrec.catalog.catalog import Catalog
from genrec.catalog.catalog_trie import CatalogTrie
from genrec.catalog.catalog_version import CatalogVersion
from genrec.catalog.code_vectors import code_vectors
from genrec.catalog.static_index import StaticIndex
from genrec.catalog.trie_filter import ItemBonus, TrieFilter

__all__ = [
    "Catalog",
    "CatalogTrie",
    "CatalogVersion",
    "ItemBonus",
    "StaticIndex",
    "TrieFilter",
    "code_vectors",
]
