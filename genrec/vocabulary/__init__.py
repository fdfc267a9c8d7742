"""Semantic-ID tokens inside a language model's vocabulary.

Does not know which item has which code: a vocabulary speaks tokens, a catalog speaks codes.
"""

from genrec.vocabulary.from_scratch import build_small_model, train_text_tokenizer
from genrec.vocabulary.semantic_id_vocabulary import SemanticIdVocabulary

__all__ = ["SemanticIdVocabulary", "build_small_model", "train_text_tokenizer"]
