"""genrec: generative retrieval and recommendation with language models.

Semantic IDs for a catalog, a language model that speaks them, a decoder that names real items only. A name is
imported when it is first used, so that `import genrec` stays light.
"""

from typing import TYPE_CHECKING, Any

from genrec.errors import GenRecError

if TYPE_CHECKING:
    from genrec.catalog import Catalog
    from genrec.data import InteractionLog, ItemTable, SyntheticWorld
    from genrec.decoding import ConstrainedBeamSearch
    from genrec.embeddings import EmbeddingTable, LsaItemEncoder, TextItemEncoder
    from genrec.evaluation import RetrievalEvaluator
    from genrec.quantization import FSQ, LFQ, RQVAE, ProductQuantizer, ResidualKMeans
    from genrec.recipe import Recipe
    from genrec.recommender import ChatSession, GenerativeRanker, GenerativeRecommender, Recommendation
    from genrec.semantic_ids import ItemTokenizer, SemanticIdSpec
    from genrec.tasks import TaskMixture
    from genrec.training import AlignmentConfig, AlignmentTrainer
    from genrec.vocabulary import SemanticIdVocabulary, extend_model

__version__ = "0.1.0.dev0"

__all__ = [
    "FSQ",
    "LFQ",
    "RQVAE",
    "AlignmentConfig",
    "AlignmentTrainer",
    "Catalog",
    "ChatSession",
    "ConstrainedBeamSearch",
    "EmbeddingTable",
    "GenRecError",
    "GenerativeRanker",
    "GenerativeRecommender",
    "InteractionLog",
    "ItemTable",
    "ItemTokenizer",
    "LsaItemEncoder",
    "ProductQuantizer",
    "Recipe",
    "Recommendation",
    "ResidualKMeans",
    "RetrievalEvaluator",
    "SemanticIdSpec",
    "SemanticIdVocabulary",
    "SyntheticWorld",
    "TaskMixture",
    "TextItemEncoder",
    "extend_model",
]


def __getattr__(name: str) -> Any:
    """Imports the room of a public name when the name is first used."""
    room: Any
    match name:
        case "InteractionLog" | "ItemTable" | "SyntheticWorld":
            from genrec import data as room
        case "EmbeddingTable" | "LsaItemEncoder" | "TextItemEncoder":
            from genrec import embeddings as room
        case "FSQ" | "LFQ" | "RQVAE" | "ProductQuantizer" | "ResidualKMeans":
            from genrec import quantization as room
        case "ItemTokenizer" | "SemanticIdSpec":
            from genrec import semantic_ids as room
        case "Catalog":
            from genrec import catalog as room
        case "SemanticIdVocabulary" | "extend_model":
            from genrec import vocabulary as room
        case "ConstrainedBeamSearch":
            from genrec import decoding as room
        case "TaskMixture":
            from genrec import tasks as room
        case "AlignmentConfig" | "AlignmentTrainer":
            from genrec import training as room
        case "RetrievalEvaluator":
            from genrec import evaluation as room
        case "ChatSession" | "GenerativeRanker" | "GenerativeRecommender" | "Recommendation":
            from genrec import recommender as room
        case "Recipe":
            from genrec import recipe as room
        case _:
            raise AttributeError(f"module 'genrec' has no attribute {name!r}")
    value = getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
