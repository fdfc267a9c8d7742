"""Vectors of items, from content and interactions: encoders, the table that keeps the vectors, its cache.

Does not know codebooks or IDs.
"""

from genrec.embeddings.als_vectors import als_vectors
from genrec.embeddings.embedding_cache import cached_embeddings
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.embeddings.fusion import fused, learned_weights, whitened
from genrec.embeddings.image_encoder import ImageItemEncoder
from genrec.embeddings.item2vec import item2vec
from genrec.embeddings.item_encoder import ItemEncoder, load_encoder
from genrec.embeddings.lsa import LsaItemEncoder
from genrec.embeddings.principal_components import PrincipalComponents
from genrec.embeddings.successors import successor_vectors
from genrec.embeddings.text_encoder import TextItemEncoder
from genrec.embeddings.text_template import TextTemplate

__all__ = [
    "EmbeddingTable",
    "ImageItemEncoder",
    "ItemEncoder",
    "LsaItemEncoder",
    "PrincipalComponents",
    "TextItemEncoder",
    "TextTemplate",
    "als_vectors",
    "cached_embeddings",
    "fused",
    "item2vec",
    "learned_weights",
    "load_encoder",
    "successor_vectors",
    "whitened",
]
