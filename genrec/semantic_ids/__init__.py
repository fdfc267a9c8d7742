"""Semantic IDs of items: their shape, the item tokenizer that makes them unique, and diagnostics.

Does not know language models, users or histories. Importing it loads no torch.
"""

from genrec.semantic_ids.semantic_id_spec import SemanticIdSpec

__all__ = ["SemanticIdSpec"]
