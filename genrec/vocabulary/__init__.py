"""Semantic-ID tokens inside a language model's vocabulary.

Does not know which item has which code: a vocabulary speaks tokens, a catalog speaks codes.
"""

from genrec.vocabulary.encoder_decoder import build_small_encoder_decoder
from genrec.vocabulary.extension import extend_model, extend_text_tokenizer, load_base
from genrec.vocabulary.from_scratch import build_small_model, train_text_tokenizer
from genrec.vocabulary.row_initialisation import grow
from genrec.vocabulary.semantic_id_vocabulary import SemanticIdVocabulary
from genrec.vocabulary.untrusted_text import UntrustedTextEncoder

__all__ = [
    "SemanticIdVocabulary",
    "UntrustedTextEncoder",
    "build_small_encoder_decoder",
    "build_small_model",
    "extend_model",
    "extend_text_tokenizer",
    "grow",
    "load_base",
    "train_text_tokenizer",
]
