"""Constrained search: prompts' token ids and a model in, scored Semantic IDs of real items out.

Does not know a prompt's wording, nor how results are judged.
"""

from genrec.decoding.beam_search import ConstrainedBeamSearch
from genrec.decoding.hybrid_item_search import HybridItemSearch
from genrec.decoding.item_constraints import GroupLimit
from genrec.decoding.item_level_search import ItemLevelSearch
from genrec.decoding.logits_processor import SemanticIdLogitsProcessor
from genrec.decoding.mixed_events import Finished, MixedEvent, MixedReply, NamedItem, TextPiece
from genrec.decoding.mixed_generation import MixedGenerator
from genrec.decoding.normalization import NORMALIZATIONS, Normalization, candidate_log_probs
from genrec.decoding.output_head import Head, LogitsHead, OutputHead, check_head
from genrec.decoding.prompt_cache import PromptCache
from genrec.decoding.search_result import BeamSearchResult
from genrec.decoding.step_model import SearchBackend, StepModel, load_backend
from genrec.decoding.text_sampling import TextSampling
from genrec.decoding.token_trie import token_trie
from genrec.decoding.trie_tables import TrieTables

__all__ = [
    "NORMALIZATIONS",
    "BeamSearchResult",
    "ConstrainedBeamSearch",
    "Finished",
    "GroupLimit",
    "Head",
    "HybridItemSearch",
    "ItemLevelSearch",
    "LogitsHead",
    "MixedEvent",
    "MixedGenerator",
    "MixedReply",
    "NamedItem",
    "Normalization",
    "OutputHead",
    "PromptCache",
    "SearchBackend",
    "SemanticIdLogitsProcessor",
    "StepModel",
    "TextPiece",
    "TextSampling",
    "TrieTables",
    "candidate_log_probs",
    "check_head",
    "load_backend",
    "token_trie",
]
