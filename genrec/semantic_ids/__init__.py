"""Semantic IDs of items: their shape, the item tokenizer that makes them unique, and diagnostics.

Does not know language models, users or histories. Importing it loads no torch.
"""

from genrec.semantic_ids.definition import ItemTokenizerDefinition, definition_path
from genrec.semantic_ids.diagnostics import IdDiagnostics, diagnose
from genrec.semantic_ids.extra_code import resolve_extra_code
from genrec.semantic_ids.index_file import read_index
from genrec.semantic_ids.index_method import IndexMethod
from genrec.semantic_ids.item_tokenizer import ItemTokenizer
from genrec.semantic_ids.matching import resolve_matching
from genrec.semantic_ids.semantic_id_spec import END, SemanticIdSpec
from genrec.semantic_ids.sinkhorn_rounds import resolve_sinkhorn_rounds
from genrec.semantic_ids.user_tokenizer import USER_CODEBOOK_SIZES, UserTokenizer

__all__ = [
    "END",
    "USER_CODEBOOK_SIZES",
    "IdDiagnostics",
    "IndexMethod",
    "ItemTokenizer",
    "ItemTokenizerDefinition",
    "SemanticIdSpec",
    "UserTokenizer",
    "definition_path",
    "diagnose",
    "read_index",
    "resolve_extra_code",
    "resolve_matching",
    "resolve_sinkhorn_rounds",
]
