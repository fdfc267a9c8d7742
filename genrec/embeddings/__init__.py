"""Content vectors of items: encoders, the table that keeps the vectors, and its cache.

Does not know codebooks or IDs.
"""

from genrec.embeddings.embedding_cache import cached_embeddings
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.embeddings.item_encoder import ItemEncoder, load_encoder
from genrec.embeddings.lsa import LsaItemEncoder
from genrec.embeddings.principal_components import PrincipalComponents
from genrec.embeddings.text_encoder import TextItemEncoder
from genrec.embeddings.text_template import TextTemplate

__all__ = [
    "EmbeddingTable",
    "ItemEncoder",
    "LsaItemEncoder",
    "PrincipalComponents",
    "TextItemEncoder",
    "TextTemplate",
    "cached_embeddings",
    "load_encoder",
]
